//! SASL SCRAM-SHA-256, for users with a verifier in a passwd-file, or with a password that a
//! verifier can be made of.
//!
//! PAM cannot do it, because it wants the password.  A user who does not exist, or has a hash of
//! another kind, gets a verifier that is made up, and fails at the end like a user with a wrong
//! password.
//!
//! The client is told only errors that are the same for everybody (`e=`).  An answer that says
//! something of the password is left to the front, which delays it.

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::password::normalise;
use super::scheme::Stored;
use super::scram::{ClientFirst, ScramError};
use super::source;
use super::source::passwd_file::{PasswdLine, SOURCE, permit, stored};
use super::trace::Trace;
use super::verifier::{ITERATIONS, Key, Verifier, made_up_salt};
use super::{Admission, Denial, Dialogue, account, files};
use crate::config::Config;
use crate::ipc::{Binding, LoginRequest, Refusal};
use crate::mail::Secret;

pub(super) fn run(
    config: &Config,
    request: &LoginRequest,
    first: &Secret,
    binding: &Binding,
    dialogue: &mut dyn Dialogue,
    trace: &mut Trace,
) -> Result<Admission, Refusal> {
    let first = match ClientFirst::parse(first.expose(), binding) {
        Ok(first) => first,
        Err(error) => return Err(fail(error, dialogue, trace)),
    };
    let user = normalise(config, first.user.as_bytes(), trace)?;
    if !first.authorize.is_empty() && normalise(config, first.authorize.as_bytes(), trace)? != user
    {
        trace.failure(MECHANISM, "authorization as somebody else is not possible");
        return Err(Refusal::Mismatch);
    }
    account::refuse_root(config, &user, trace)?;

    dialogue.turn_to(SOURCE);
    let key = salt_key(config, trace)?;
    let (entry, verifier) = choose(config, &user, &key, trace)?;
    let exchange = first.challenge(verifier, &nonce()?);
    let answer = say(dialogue, exchange.first()).ok_or_else(|| given_up(trace))?;
    let last = match (exchange.finish(answer.expose()), &entry) {
        (Ok(last), _) => last,
        (Err(ScramError::Proof), entry) => {
            trace.failure(
                SOURCE,
                match entry {
                    Some(_) => "Password mismatch",
                    None => "unknown user",
                },
            );
            return Err(Refusal::Mismatch);
        }
        (Err(error), _) => return Err(fail(error, dialogue, trace)),
    };
    // Without an entry no proof is right.
    let entry = entry.ok_or(Refusal::Mismatch)?;
    let identity = permit(entry, &request.origin, trace).map_err(|denial| match denial {
        Denial::Disabled => Refusal::Disabled,
        _ => Refusal::Mismatch,
    })?;
    let admission = account::admit(config, request.protocol, identity, trace)?;
    // The client checks by this message that we know its password.  Its answer means nothing.
    say(dialogue, &last).ok_or_else(|| given_up(trace))?;
    Ok(admission)
}

/// The verifier of that user, or one that is made up.  One is derived in either case, so that both
/// take the same time.
fn choose(
    config: &Config,
    user: &str,
    key: &Key,
    trace: &mut Trace,
) -> Result<(Option<PasswdLine>, Verifier), Refusal> {
    let mut chosen = None;
    let mut iterations = None;
    let mut unavailable = false;
    for source in source::all(config) {
        let Some(found) = source.find(user, trace) else {
            continue;
        };
        let Ok(found) = found else {
            unavailable = true;
            continue;
        };
        iterations = iterations.or(found.iterations);
        if chosen.is_none()
            && let Some(entry) = found.entry
            && !entry.uid.as_deref().is_some_and(account::is_root)
            && let Some(stored) = stored(&entry, trace)
        {
            chosen = Some((entry, stored));
        }
    }
    let iterations = iterations.unwrap_or(ITERATIONS).clamp(1, MAX_ITERATIONS);
    let nobody = || Verifier::made_up(user, key, iterations);
    match chosen {
        Some((entry, Stored::Plain(password))) => {
            let salt = made_up_salt(user, key);
            Ok((Some(entry), Verifier::derive(&password, &salt, iterations)))
        }
        Some((entry, Stored::Scram(verifier))) => {
            drop(nobody());
            Ok((Some(entry), verifier))
        }
        Some((entry, _)) => {
            trace.failure(
                SOURCE,
                "the password is kept in a way that SCRAM cannot use",
            );
            Ok((Some(entry), nobody()))
        }
        None if unavailable => Err(Refusal::Unavailable),
        None => Ok((None, nobody())),
    }
}

fn salt_key(config: &Config, trace: &mut Trace) -> Result<Key, Refusal> {
    files::salt_key(config).map_err(|error| {
        trace.problem(MECHANISM, format!("the key for salts: {error}"));
        Refusal::Unavailable
    })
}

fn nonce() -> Result<String, Refusal> {
    let mut random = [0; 18];
    rand::fill(&mut random).map_err(|_| Refusal::Unavailable)?;
    Ok(STANDARD_NO_PAD.encode(random))
}

/// Tells the client what is wrong with its messages.
fn fail(error: ScramError, dialogue: &mut dyn Dialogue, trace: &mut Trace) -> Refusal {
    let text = error.message();
    trace.failure(MECHANISM, format!("{text} was the answer to the client"));
    // The client has nothing more to say.
    let _ = say(dialogue, text);
    Refusal::Mismatch
}

fn say(dialogue: &mut dyn Dialogue, text: &str) -> Option<Secret> {
    dialogue.challenge(Secret::new(text.as_bytes().to_vec()))
}

fn given_up(trace: &mut Trace) -> Refusal {
    trace.detail(MECHANISM, "the client has given up");
    Refusal::Mismatch
}

const MECHANISM: &str = "scram-sha-256";

/// How many iterations a user who does not exist may cost.
const MAX_ITERATIONS: u32 = 100_000;
