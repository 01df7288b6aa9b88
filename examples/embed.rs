//! Log in, get a token, and serve an agent, inside a program of your own.
//!
//!     cargo run --example embed -- github node agent.js

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to its person")]

use std::io::{self, Write};
use std::process::{Command, ExitCode};

use authsome::auth::{Challenge, Login, LoginSession, Progress};
use authsome::{AuthService, Context, Error, FlowType};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(provider), Some(program)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: embed PROVIDER PROGRAM [ARGUMENTS]");
        return ExitCode::from(2);
    };
    let mut agent = Command::new(program);
    agent.args(arguments);
    match serve(&provider, &mut agent) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("{}: {error}", error.name());
            ExitCode::from(error.exit_code())
        }
    }
}

/// Runs an agent whose requests to the provider carry the credential.
fn serve(provider: &str, agent: &mut Command) -> Result<u8, Error> {
    let context = Context::create()?;
    let auth = context.auth();
    match auth.access_token(provider, None) {
        Ok(token) => println!("{provider} is connected; its token has {} letters", token.expose().len()),
        Err(Error::CredentialMissing { .. }) => log_in(auth, provider)?,
        Err(error) => return Err(error),
    }
    let proxy = context.proxy().start()?;
    println!("the proxy listens on {}", proxy.address());
    let status = proxy.run(agent)?;
    proxy.shutdown();
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// A login that shows its person what to do. A key is typed in; OAuth needs a client that is stored already, with
/// `AuthService::set_client`, unless the provider registers one by itself.
fn log_in(auth: &AuthService, provider: &str) -> Result<(), Error> {
    if auth.login_flow(provider, None)? == FlowType::ApiKey {
        let key = ask("API key")?;
        let values = [("api_key".to_owned(), key.into())].into();
        return auth.login(&Login { provider, values, ..Login::default() }).map(drop);
    }
    let mut session = auth.begin_login(&Login { provider, ..Login::default() })?;
    loop {
        let answer = instruct(&session)?;
        match auth.resume_login(&mut session, answer.as_deref())? {
            Progress::Connected(made) => {
                made.warnings.iter().for_each(|warning| println!("warning: {warning}"));
                return Ok(());
            }
            Progress::Pending(pause) => std::thread::sleep(pause),
            _ => return Err(Error::InputCancelled),
        }
    }
}

/// What a person has to do, and what they bring back.
fn instruct(session: &LoginSession) -> Result<Option<String>, Error> {
    match session.challenge() {
        Challenge::Browser { url, .. } => {
            println!("open {url}");
            ask("the address of the page at which the browser ends").map(Some)
        }
        Challenge::Device { verification_uri, user_code, .. } => {
            println!("enter {user_code} at {verification_uri}");
            Ok(None)
        }
        _ => Ok(None),
    }
}

fn ask(question: &str) -> Result<String, Error> {
    print!("{question}: ");
    let mut line = String::new();
    let read = io::stdout().flush().and_then(|()| io::stdin().read_line(&mut line));
    match read {
        Ok(length) if length > 0 => Ok(line.trim().to_owned()),
        _ => Err(Error::InputCancelled),
    }
}
