//! Machines sign in with an assertion by the key that they registered with.

use strongroom_api::{AssertionClaims, AssertionError, Code, Problem};

use super::form::needed;
use super::{Asked, Granted, Refused, TokenForm, logins};
use crate::refusal::Refusal;
use crate::shared::Shared;
use crate::token::{ACCESS_SECONDS, Bearer};

pub(crate) async fn by_assertion(shared: &Shared, form: TokenForm, asked: &Asked) -> Result<Granted, Refused> {
    let assertion = needed(form.client_assertion, "client_assertion")?;
    let now = shared.clock.now();
    let container = AssertionClaims::claimed_machine(assertion.reveal()).map_err(|error| refused(shared, error))?;
    let Some((machine, public_key)) = shared.machine_key(container).await? else {
        let detail =
            "This machine is not registered here, or not any more: register it with `strongroom agent register`";
        return Err(Refused::new(Code::AssertionRefused, detail));
    };
    AssertionClaims::verify(assertion.reveal(), &public_key, now).map_err(|error| refused(shared, error))?;
    let seconds = asked.access_seconds.min(ACCESS_SECONDS);
    let token = shared.tokens.for_bearer(Bearer::Machine(machine), seconds, now);
    Ok(Granted {
        response: logins::access(token, seconds),
        account: None,
        begun: true,
    })
}

/// A machine whose clock is wrong is told the time, and signs again.
fn refused(shared: &Shared, error: AssertionError) -> Refusal {
    shared.metrics.sign_ins_failed.inc();
    let detail = format!("The machine's sign-in was refused: {error}");
    let mut problem = Problem::new(Code::AssertionRefused, detail);
    problem.server_time = (error == AssertionError::Time).then(|| shared.clock.now());
    problem.into()
}
