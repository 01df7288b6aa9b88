'use strict';
// Loaded into Node (16 and later) and Bun before the agent's own code, by `authsome run`.
//
// Most of Node knows no proxy variable. But everything in it that opens a connection goes through two
// functions, `tls.connect` and `net.Socket.prototype.connect`. Here both are led through CONNECT: whatever
// library makes the request, in whatever way, it comes to the proxy. Loopback, NO_PROXY and ports that no
// web service uses are left alone. Three smaller things follow: our CA is added to lists of CAs that a
// program brings along, and children and workers that are started with an environment of their own get the
// wiring back.
//
// Reads AUTHSOME_PROXY, AUTHSOME_CA, AUTHSOME_ENV_KEYS, AUTHSOME_PORTS and NO_PROXY. Without AUTHSOME_PROXY
// it does nothing; if it cannot do its work it says so in one line and lets the program run.

const LOADED = Symbol.for('authsome.preload');

function say(text) {
  try {
    require('fs').writeSync(2, `authsome: ${text}\n`);
  } catch {
    // Nobody listens.
  }
}

function wire() {
  const environment = process.env;
  const net = require('net');
  const tls = require('tls');
  const fs = require('fs');
  const { basename } = require('path');
  const { Duplex } = require('stream');

  const HEAD_END = '\r\n\r\n';
  const HEAD_MAX = 65536;

  // --- Which connections go through the proxy

  function parseProxy(text) {
    const url = new URL(text);
    const { username, password } = url;
    const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    return {
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port: Number(url.port || 80),
      authorization: username ? `Proxy-Authorization: Basic ${Buffer.from(pair).toString('base64')}\r\n` : '',
    };
  }

  function parsePorts(text) {
    return new Set([443, 80, ...(text || '').split(',').map(Number).filter(Boolean)]);
  }

  // An entry is a host or a suffix, with or without a port, or an address.
  function parseExempt(text) {
    return (text || '')
      .toLowerCase()
      .split(/[,\s]+/)
      .filter(Boolean)
      .map((entry) => {
        if (net.isIP(entry)) return { host: entry };
        const [, host, port] = /^(.*?)(?::(\d+))?$/.exec(entry);
        return { host: host.replace(/^\*?\./, '').replace(/^\[|\]$/g, ''), port: port && Number(port) };
      });
  }

  const PROXY = parseProxy(environment.AUTHSOME_PROXY);
  const PORTS = parsePorts(environment.AUTHSOME_PORTS);
  const EXEMPT = parseExempt(environment.NO_PROXY || environment.no_proxy);

  function isLoopback(host) {
    return (
      host === 'localhost' ||
      host.endsWith('.localhost') ||
      /^(::ffff:)?127\./.test(host) ||
      ['::1', '::', '0.0.0.0'].includes(host)
    );
  }

  function isExempt(host, port) {
    return EXEMPT.some(
      (entry) =>
        (!entry.port || entry.port === port) &&
        (entry.host === '*' || host === entry.host || host.endsWith(`.${entry.host}`)),
    );
  }

  // `options` as net and tls take them: no host means localhost, a path is a Unix socket.
  function goesThroughProxy(options) {
    const port = Number(options.port);
    if (options.path || !options.host || !PORTS.has(port)) return false;
    const host = String(options.host).toLowerCase().replace(/^\[|\]$/g, '').replace(/\.$/, '');
    return !isLoopback(host) && !isExempt(host, port);
  }

  // --- CONNECT

  function authorityOf(options) {
    const host = String(options.host);
    return `${net.isIPv6(host) ? `[${host}]` : host}:${Number(options.port)}`;
  }

  function connectRequest(authority) {
    return Buffer.from(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${PROXY.authorization}\r\n`);
  }

  function failure(code, text) {
    return Object.assign(new Error(`authsome proxy ${text}`), { code, syscall: 'connect' });
  }

  function closedEarly(authority) {
    return failure('ECONNRESET', `closed the connection while opening ${authority}`);
  }

  // What the proxy has answered so far: undefined until its head is whole, then an error or what follows.
  function parseReply(bytes, authority) {
    const end = bytes.indexOf(HEAD_END);
    if (end < 0) {
      return bytes.length > HEAD_MAX ? { error: failure('EPROTO', `gave no answer for ${authority}`) } : undefined;
    }
    const [statusLine, ...fields] = bytes.toString('latin1', 0, end).split('\r\n');
    const status = Number(statusLine.split(' ')[1]);
    if (status >= 200 && status < 300) return { rest: bytes.subarray(end + HEAD_END.length) };
    const reason = fields.map((field) => /^authsome-error:\s*(.*)$/i.exec(field)).find(Boolean);
    const why = reason ? `${statusLine}, ${reason[1]}` : statusLine;
    return { error: failure('ECONNREFUSED', `refused ${authority}: ${why}`) };
  }

  const connectSocket = net.Socket.prototype.connect;
  const connectTls = tls.connect;

  // Opens a socket through the proxy; `done(error, first bytes)` once it is open. Returns the socket.
  function openTunnel(options, done) {
    const authority = authorityOf(options);
    const socket = new net.Socket({ allowHalfOpen: Boolean(options.allowHalfOpen) });
    let received = Buffer.alloc(0);

    function finish(error, rest) {
      socket.off('data', onData).off('error', onError).off('close', onClose);
      if (error) socket.on('error', () => {}).destroy();
      else socket.pause();
      done(error, rest);
    }
    function onData(chunk) {
      received = Buffer.concat([received, chunk]);
      const reply = parseReply(received, authority);
      if (reply) finish(reply.error, reply.rest);
    }
    function onError(error) {
      finish(failure(error.code, `${PROXY.host}:${PROXY.port}: ${error.message}`));
    }
    function onClose() {
      finish(closedEarly(authority));
    }

    socket.on('data', onData).on('error', onError).on('close', onClose);
    connectSocket.call(socket, { host: PROXY.host, port: PROXY.port }, () => {
      socket.setNoDelay(true);
      socket.write(connectRequest(authority));
    });
    return socket;
  }

  // --- TLS

  // A stream over a tunnel that may be written to before the tunnel is open. It is no net.Socket on purpose:
  // over one, TLSSocket would take the handle at once and read the answer to CONNECT as TLS.
  class Tunnel extends Duplex {
    constructor(options) {
      super({ allowHalfOpen: true });
      this.open = false;
      this.waiting = undefined;
      this.wanted = false;
      this.socket = openTunnel(options, (error, rest) => this.opened(error, rest));
    }

    opened(error, rest) {
      if (error) return this.destroy(error);
      if (this.destroyed) return this.socket.destroy();
      this.open = true;
      if (rest.length) this.push(rest);
      this.socket
        .on('data', (chunk) => this.push(chunk) || this.socket.pause())
        .on('end', () => this.push(null))
        .on('error', (late) => this.destroy(late))
        .on('close', () => this.destroy());
      this.emit('open');
      const waiting = this.waiting;
      this.waiting = undefined;
      if (waiting) waiting();
      if (this.wanted) this.socket.resume();
    }

    whenOpen(action) {
      if (this.open) action();
      else this.waiting = action;
    }

    _read() {
      this.wanted = true;
      if (this.open) this.socket.resume();
    }

    _write(chunk, encoding, callback) {
      this.whenOpen(() => this.socket.write(chunk, encoding, callback));
    }

    _final(callback) {
      // It has ended by itself if the proxy ended first.
      this.whenOpen(() => (this.socket.writableEnded ? callback() : this.socket.end(() => callback())));
    }

    _destroy(error, callback) {
      this.socket.destroy();
      callback(error);
    }

    ref() {
      this.socket.ref();
      return this;
    }

    unref() {
      this.socket.unref();
      return this;
    }

    setNoDelay(...args) {
      this.socket.setNoDelay(...args);
      return this;
    }

    setKeepAlive(...args) {
      this.socket.setKeepAlive(...args);
      return this;
    }

    setTimeout() {
      return this;
    }
  }

  // The arguments of tls.connect: (options), (port), (port, host), each with options and callback behind.
  function tlsArguments(args) {
    const [options, callback] = net._normalizeArgs(args);
    const more = [args[1], args[2]].find((arg) => arg !== null && typeof arg === 'object');
    return [more ? Object.assign(options, more) : options, callback];
  }

  tls.connect = function connect(...args) {
    const [options, callback] = tlsArguments(args);
    if (options.socket || !goesThroughProxy(options)) return connectTls.apply(this, args);
    const tunnel = new Tunnel(options);
    const socket = connectTls.call(this, { ...options, socket: tunnel }, callback);
    if (options.timeout) socket.setTimeout(options.timeout);
    likeDirect(socket, tunnel, Number(options.port));
    return socket;
  };

  // What callers read from a socket that they believe to be direct.
  function likeDirect(socket, tunnel, port) {
    // An idle kept-alive socket must not hold the process: TLS over a stream does not pass this on.
    for (const name of ['ref', 'unref']) {
      const original = socket[name];
      socket[name] = function () {
        tunnel[name]();
        return original.call(this);
      };
    }
    for (const name of ['remoteAddress', 'remoteFamily', 'localAddress', 'localPort']) {
      Object.defineProperty(socket, name, { configurable: true, get: () => tunnel.socket[name] });
    }
    // http2 makes the session's origin of it, which has to be the server's.
    const remotePort = { configurable: true, get: () => (tunnel.open ? port : undefined) };
    Object.defineProperty(socket, 'remotePort', remotePort);
    socket.connecting = true;
    tunnel.once('open', () => {
      if (!socket.connecting) return;
      socket.connecting = false;
      socket.emit('connect');
    });
  }

  // --- Plain sockets

  // The caller holds the socket already, so this one itself is connected to the proxy. Until the proxy has
  // answered, `connect` and `ready` are held back and what arrives is kept from the caller; the socket goes
  // on saying `connecting`, so that the caller's writes queue as ever.
  net.Socket.prototype.connect = function connect(...args) {
    const [options, callback] = Array.isArray(args[0]) ? args[0] : net._normalizeArgs(args);
    const direct = this instanceof tls.TLSSocket || options.onread || !goesThroughProxy(options);
    if (direct) return connectSocket.apply(this, args);
    if (typeof callback === 'function') this.once('connect', callback);
    holdBack(this, authorityOf(options));
    const toProxy = { host: PROXY.host, port: PROXY.port, lookup: undefined, family: undefined };
    return connectSocket.call(this, { ...options, ...toProxy, localAddress: undefined });
  };

  function holdBack(socket, authority) {
    const { emit, push } = socket;
    let received = Buffer.alloc(0);
    let asked = false;

    function release() {
      delete socket.emit;
      delete socket.push;
      socket.connecting = false;
    }
    function fail(error) {
      release();
      socket.destroy(error);
      return false;
    }
    function ask() {
      asked = true;
      // Past the queue of the caller's writes, and reading begun although nobody may want to read yet.
      socket.connecting = false;
      const written = (error) => error && socket.destroy(error);
      net.Socket.prototype._write.call(socket, connectRequest(authority), 'buffer', written);
      socket._read(HEAD_MAX);
      socket.connecting = true;
    }
    function opened(rest) {
      if (socket.destroyed) return;
      release();
      socket.emit('connect');
      socket.emit('ready');
      if (rest.length) socket.push(rest);
      if (!socket.isPaused()) socket.read(0);
    }

    socket.emit = function (event, ...args) {
      if (event !== 'connect' && event !== 'ready') return emit.call(socket, event, ...args);
      if (event === 'connect' && !asked) ask();
      return true;
    };
    socket.push = function (chunk, ...args) {
      if (!asked) return push.call(socket, chunk, ...args);
      if (chunk === null) return fail(closedEarly(authority));
      received = Buffer.concat([received, chunk]);
      const reply = parseReply(received, authority);
      if (reply && reply.error) return fail(reply.error);
      if (!reply) return true;
      // Not within the read that brought the answer.
      delete socket.push;
      process.nextTick(opened, Buffer.from(reply.rest));
      return true;
    };
  }

  // --- Trust

  function readCa() {
    const path = environment.AUTHSOME_CA;
    if (!path) return undefined;
    try {
      return fs.readFileSync(path, 'utf8');
    } catch {
      const hint = process.permission ? ` (node --permission needs --allow-fs-read=${path})` : '';
      say(`${path} cannot be read${hint}: a program with a CA list of its own will not trust the proxy`);
      return undefined;
    }
  }

  // NODE_EXTRA_CA_CERTS covers the default list; these cover the lists that replace it.
  function trustEverywhere(ca) {
    const { createSecureContext, setDefaultCACertificates } = tls;
    tls.createSecureContext = function (options, ...rest) {
      const listed = options && options.ca ? { ...options, ca: [].concat(options.ca, ca) } : options;
      return createSecureContext.call(this, listed, ...rest);
    };
    if (setDefaultCACertificates) {
      tls.setDefaultCACertificates = (list) => setDefaultCACertificates.call(tls, [...list, ca]);
    }
  }

  // --- Children and workers

  const WIRING = {};
  for (const name of (environment.AUTHSOME_ENV_KEYS || '').split(',')) {
    if (environment[name] !== undefined) WIRING[name] = environment[name];
  }

  // The value for a child that sets this variable itself: two of them carry the preloads.
  function withPreload(name, value) {
    if (name === 'NODE_OPTIONS') {
      const option = WIRING.NODE_OPTIONS.split(' ').find((word) => word.endsWith(basename(__filename)));
      return !option || value.split(' ').includes(option) ? value : `${value} ${option}`.trim();
    }
    if (name === 'PYTHONPATH') {
      const folder = WIRING.PYTHONPATH.split(':')[0];
      return value.split(':').includes(folder) ? value : [folder, ...(value ? [value] : [])].join(':');
    }
    return value;
  }

  function repaired(given) {
    const result = { ...WIRING };
    for (const name in given) {
      const value = given[name];
      const ours = name in WIRING && typeof value === 'string';
      // Node drops undefined, which some programs use to unset a variable.
      if (value !== undefined || !(name in WIRING)) result[name] = ours ? withPreload(name, value) : value;
    }
    return result;
  }

  function repairedPairs(pairs) {
    const seen = new Set();
    const result = pairs.map((pair) => {
      const name = pair.slice(0, pair.indexOf('='));
      seen.add(name);
      return name in WIRING ? `${name}=${withPreload(name, pair.slice(name.length + 1))}` : pair;
    });
    const missing = Object.keys(WIRING).filter((name) => !seen.has(name));
    return result.concat(missing.map((name) => `${name}=${WIRING[name]}`));
  }

  function withEnvironment(options) {
    const given = options && typeof options === 'object' && !Array.isArray(options) && options.env;
    return given && typeof given === 'object' ? { ...options, env: repaired(given) } : options;
  }

  // Bun's spawn reads no pairs, but an object under a symbol of its own.
  function repairBunOptions(options) {
    for (const symbol of Object.getOwnPropertySymbols(options || {})) {
      const given = options[symbol];
      const isEnvironment = /env/i.test(symbol.description) && given && typeof given === 'object';
      if (isEnvironment) options[symbol] = repaired(given);
    }
  }

  function wireChildren() {
    const children = require('child_process');
    const { spawn } = children.ChildProcess.prototype;
    children.ChildProcess.prototype.spawn = function (options) {
      if (options && Array.isArray(options.envPairs)) options.envPairs = repairedPairs(options.envPairs);
      else if (process.versions.bun) repairBunOptions(options);
      return spawn.apply(this, arguments);
    };
    for (const name of ['spawnSync', 'execFileSync', 'execSync']) {
      const original = children[name];
      children[name] = function (...args) {
        return original.apply(this, args.map(withEnvironment));
      };
    }
    const threads = require('worker_threads');
    threads.Worker = class Worker extends threads.Worker {
      constructor(file, options) {
        super(file, withEnvironment(options));
      }
    };
  }

  // --- Quiet

  // Node 22 warns of NODE_USE_ENV_PROXY, which authsome has set, at every start. The warning is on its way
  // before this file is loaded.
  function silenceProxyWarning() {
    const { emit } = process;
    process.emit = function (event, warning, ...rest) {
      const ours = event === 'warning' && warning && warning.code === 'UNDICI-EHPA';
      return ours ? false : emit.call(this, event, warning, ...rest);
    };
  }

  // --- Bun

  // Its WebSocket is native: it uses neither net nor tls, and takes a proxy as an option.
  function wireBunWebSocket() {
    const Native = globalThis.WebSocket;
    globalThis.WebSocket = class WebSocket extends Native {
      constructor(url, options) {
        super(url, withProxy(url, options));
      }
    };
  }

  function withProxy(text, options) {
    let url;
    try {
      url = new URL(text);
    } catch {
      return options;
    }
    const port = url.port || (url.protocol === 'wss:' ? 443 : 80);
    if (!goesThroughProxy({ host: url.hostname, port })) return options;
    const isProtocols = Array.isArray(options) || typeof options === 'string';
    return { ...(isProtocols ? { protocols: options } : options), proxy: environment.AUTHSOME_PROXY };
  }

  // --- All of it; one part that fails leaves the others standing

  function attempt(what, action) {
    try {
      action();
    } catch (error) {
      say(`the preload could not wire ${what}: ${error.message}`);
    }
  }

  const ca = readCa();
  if (ca) attempt('CA lists', () => trustEverywhere(ca));
  if (Object.keys(WIRING).length) attempt('child processes', wireChildren);
  const warns = environment.NODE_USE_ENV_PROXY && /^22\./.test(process.versions.node);
  if (warns) attempt('warnings', silenceProxyWarning);
  if (process.versions.bun && globalThis.WebSocket) attempt('WebSocket', wireBunWebSocket);
  // So that `import { connect } from 'tls'` sees them.
  attempt('ES modules', () => require('module').syncBuiltinESMExports());
}

if (process.env.AUTHSOME_PROXY && !globalThis[LOADED]) {
  Object.defineProperty(globalThis, LOADED, { value: true });
  try {
    wire();
  } catch (error) {
    say(`the preload is not active: ${error.message}`);
  }
}
