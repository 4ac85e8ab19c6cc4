//! The console: `strongroom agent ui`.
//!
//! ```text
//! keys, answers ──Message──▶ Console::update ──Effect──▶ Performer ──Message──▶ …
//!                               └──▶ draw
//! ```
//!
//! [`Console`] and what draws it know of no terminal, no clock and no service: a message changes the one, and the other makes
//! a screen of it. All that takes time is an [`Effect`], done by tasks that answer with messages, so that keys are never
//! waited for. What writes into the state folder is done by other commands of this program ([`Own`]).

mod dialog;
mod draw;
mod effect;
mod jobs;
mod look;
mod message;
mod overview;
mod own;
mod perform;
mod plain;
mod restore;
mod screen;
mod settings;
mod state;
mod window;

#[cfg(test)]
mod tests;

use strongroom_agent::Machine;

use crate::failure::Failure;
use effect::Effect;
use look::Look;
use message::Message;
use perform::Performer;
use screen::Screen;
use state::Console;

pub(crate) use own::Own;

/// Shows the console until somebody leaves it. `machine` asks a service that is away once, and `patient` waits for it.
pub(crate) async fn run(machine: Machine, patient: Machine, own: Own) -> Result<(), Failure> {
    let look = Look::of_environment();
    let mut console = Console::new(machine.state());
    let mut screen = Screen::enter()?;
    let (mut performer, mut messages) = Performer::start(machine, patient, own);
    loop {
        screen.draw(|frame| draw::draw(&console, &look, frame))?;
        let Some(message) = messages.recv().await else { break };
        let mut waiting = Some(message);
        // What came in meanwhile is drawn at once.
        while let Some(message) = waiting {
            for effect in console.update(message) {
                match effect {
                    Effect::Leave => {
                        console.ends();
                        screen.draw(|frame| draw::draw(&console, &look, frame))?;
                        performer.end().await;
                        return screen.leave();
                    }
                    effect => performer.perform(effect),
                }
            }
            waiting = messages.try_recv().ok();
        }
    }
    screen.leave()
}

/// So many messages wait at most; whoever has more waits himself.
const MESSAGES_MAX: usize = 64;

/// Opens the way by which messages come.
fn channel() -> (tokio::sync::mpsc::Sender<Message>, tokio::sync::mpsc::Receiver<Message>) {
    tokio::sync::mpsc::channel(MESSAGES_MAX)
}
