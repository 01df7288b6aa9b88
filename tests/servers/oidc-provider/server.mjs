// An authorization server for the tests: oidc-provider, which agrees to everything at once, and counts.
//
//   node server.mjs --cert server.pem --key server.key --issuer https://oidc.test --jwk '{"kty":"EC",…}'
//
// Prints {"port":…} when it listens on 127.0.0.1, and ends with its standard input.

import { readFileSync } from 'node:fs'
import https from 'node:https'
import { parseArgs } from 'node:util'
import Provider from 'oidc-provider'

const { values: flags } = parseArgs({
  options: { cert: { type: 'string' }, key: { type: 'string' }, issuer: { type: 'string' }, jwk: { type: 'string' } },
})

const counts = { refreshed: 0, refused: 0, registered: 0 }
const faults = []
let deny = false

const loopback = ['http://127.0.0.1:7999/callback', 'http://localhost:7999/callback']
const client = (id, method, more = {}) => ({
  client_id: id,
  application_type: 'native',
  redirect_uris: loopback,
  grant_types: [
    'authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code',
    ...(method === 'none' ? [] : ['client_credentials']),
  ],
  token_endpoint_auth_method: method,
  ...(['client_secret_basic', 'client_secret_post'].includes(method) ? { client_secret: `secret of ${id}:+%` } : {}),
  ...more,
})

const provider = new Provider(flags.issuer, {
  clients: [
    client('public', 'none'),
    client('basic', 'client_secret_basic'),
    client('post', 'client_secret_post'),
    ...(flags.jwk ? [client('jwt', 'private_key_jwt', { jwks: { keys: [JSON.parse(flags.jwk)] } })] : []),
  ],
  scopes: ['openid', 'offline_access', 'read', 'write'],
  features: {
    devInteractions: { enabled: false },
    deviceFlow: { enabled: true },
    registration: { enabled: true },
    revocation: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      useGrantedResource: () => true,
      getResourceServerInfo: (_ctx, audience) => ({ audience, scope: 'read write', accessTokenFormat: 'opaque' }),
    },
  },
  clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt'],
  pkce: { required: () => true },
  rotateRefreshToken: true,
  issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
  findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id, name: 'Ann' }) }),
  interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
  ttl: { AccessToken: 3600, RefreshToken: 86400, DeviceCode: 60, ClientCredentials: 3600, Grant: 86400, Interaction: 600, Session: 600 },
  cookies: { keys: ['of the tests'] },
})

provider.on('grant.success', (ctx) => { if (ctx.oidc.params.grant_type === 'refresh_token') counts.refreshed += 1 })
provider.on('grant.error', (ctx) => { if (ctx.oidc?.params?.grant_type === 'refresh_token') counts.refused += 1 })
provider.on('registration_create.success', () => { counts.registered += 1 })

async function grantOf(accountId, clientId, { scope = '', resource } = {}) {
  const grant = new provider.Grant({ accountId, clientId })
  grant.addOIDCScope(scope)
  for (const one of [resource].flat().filter(Boolean)) grant.addResourceScope(one, 'read write')
  return grant.save()
}

async function interact(req, res) {
  const { prompt, params, session } = await provider.interactionDetails(req, res)
  let result
  if (deny) {
    deny = false
    result = { error: 'access_denied', error_description: 'the person said no' }
  } else if (prompt.name === 'login') {
    result = { login: { accountId: 'ann' } }
  } else {
    result = { consent: { grantId: await grantOf(session.accountId, params.client_id, params) } }
  }
  await provider.interactionFinished(req, res, result, { mergeWithLastSubmission: true })
}

async function decide(userCode, yes) {
  const code = await provider.DeviceCode.findByUserCode(userCode.replace(/-/g, ''))
  if (yes) {
    code.accountId = 'ann'
    code.authTime = Math.floor(Date.now() / 1000)
    code.scope = code.params.scope
    code.grantId = await grantOf('ann', code.clientId, code.params)
  } else {
    code.error = 'access_denied'
    code.errorDescription = 'the person said no'
  }
  await code.save()
}

async function control(url, res) {
  const query = Object.fromEntries(url.searchParams)
  switch (url.pathname) {
    case '/_test/counts': return res.end(JSON.stringify(counts))
    case '/_test/approve': await decide(query.user_code, true); break
    case '/_test/deny': await decide(query.user_code, false); break
    case '/_test/deny-next': deny = true; break
    case '/_test/fault': for (let n = Number(query.times ?? 1); n > 0; n -= 1) faults.push(query.kind); break
    default: res.statusCode = 404
  }
  return res.end('{}')
}

// Answers a token request wrongly; what is left to the provider is carried out, and its answer lost.
function fail(kind, req, res) {
  const say = (status, type, body, headers = {}) => res.writeHead(status, { 'content-type': type, ...headers }).end(body)
  switch (kind) {
    case 'slow_down': return say(400, 'application/json', '{"error":"slow_down"}')
    case 'unavailable': return say(503, 'text/plain', '', { 'retry-after': '2' })
    case 'html': return say(200, 'text/html', '<html>sign in</html>')
    case 'redirect': return say(302, 'text/plain', '', { location: 'https://evil.test/' })
    default: {
      const { end } = res
      res.end = (body) => {
        if (kind === 'truncate') res.write(body.slice(0, body.length / 2))
        req.socket.destroy()
        res.end = end
      }
      return provider.callback()(req, res)
    }
  }
}

// A resource that says who guards it (RFC 9728).
async function resource(req, res) {
  const metadata = `${flags.issuer}/.well-known/oauth-protected-resource/mcp`
  const token = req.headers.authorization?.replace(/^Bearer /, '')
  const known = token && await provider.AccessToken.find(token)
  if (known) return res.end('hello')
  return res.writeHead(401, { 'www-authenticate': `Bearer resource_metadata="${metadata}"` }).end()
}

async function serve(req, res) {
  const url = new URL(req.url, flags.issuer)
  if (url.pathname.startsWith('/_test/')) return control(url, res)
  if (url.pathname.startsWith('/interaction/')) return interact(req, res)
  if (url.pathname === '/mcp') return resource(req, res)
  if (url.pathname === '/.well-known/oauth-protected-resource/mcp') {
    const about = { resource: `${flags.issuer}/mcp`, authorization_servers: [flags.issuer], scopes_supported: ['read'] }
    return res.setHeader('content-type', 'application/json').end(JSON.stringify(about))
  }
  if (url.pathname === '/token' && faults.length > 0) return fail(faults.shift(), req, res)
  return provider.callback()(req, res)
}

const tls = { cert: readFileSync(flags.cert), key: readFileSync(flags.key) }
const server = https.createServer(tls, (req, res) => serve(req, res).catch((error) => {
  console.error(error)
  if (!res.headersSent) res.statusCode = 500
  res.end()
}))
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: server.address().port })))
process.stdin.on('end', () => process.exit()).resume()
