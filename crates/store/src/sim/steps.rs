//! The steps of a whole world, store and database, and the faults that wait at them.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use super::{Event, Fact};
use crate::Key;

/// One count over everything that can fail, and the plan of what does. A handle: clones are the same count.
///
/// Every operation of a [`Sim`](super::Sim) takes a step by itself. Whoever simulates the database calls
/// [`database`](Steps::database) before each transaction, and reports what it has made true with
/// [`starts`](Steps::starts) and [`ends`](Steps::ends).
#[derive(Clone, Default)]
pub struct Steps(Arc<Mutex<Plan>>);

#[derive(Default)]
struct Plan {
    taken: u64,
    faults: Vec<Fault>,
    fired: u64,
    is_stopped: bool,
    events: Vec<Event>,
}

/// What a step is about to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Read an object or ranges of it.
    Get(Key),
    /// Ask for an object's size.
    Size(Key),
    /// List a prefix.
    List(String),
    /// Put an object.
    Put(Key),
    /// Delete an object.
    Delete(Key),
    /// Run a database transaction, named by its caller.
    Database(String),
}

impl What {
    /// Whether a full disk can stop it.
    fn takes_space(&self) -> bool {
        matches!(self, What::Put(_) | What::Database(_))
    }
}

/// Why a step may not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// The machine stops in the middle of this very step: it may happen, or not, and its caller will never
    /// know. A simulated database chooses by the crash's seed whether the transaction is in its image.
    #[error("the simulated machine stops here")]
    Cut,
    /// The machine had stopped before: nothing happens.
    #[error("the simulated machine stopped")]
    Off,
    /// The step fails and the world goes on. A database transaction that fails has not happened.
    #[error("simulated: {0}")]
    Fails(Failure),
}

/// How a step fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The disk is full. Steps that need no space go on.
    #[error("no space left on device")]
    NoSpace,
    /// An I/O error; a put or delete may have happened nevertheless.
    #[error("input/output error")]
    Io,
}

impl Failure {
    pub(super) fn cause(self) -> io::Error {
        match self {
            Failure::NoSpace => Errno::NOSPC.into(),
            Failure::Io => Errno::IO.into(),
        }
    }
}

/// Something that happens at a step. Steps are counted from 1.
pub struct Fault {
    first: u64,
    last: u64,
    effect: Effect,
}

type Call = Box<dyn FnOnce() + Send>;

enum Effect {
    Stop,
    Fail(Failure),
    Call(Call),
}

impl Fault {
    /// The machine stops at step `n`.
    pub fn stop_at(n: u64) -> Fault {
        Fault {
            first: n,
            last: n,
            effect: Effect::Stop,
        }
    }

    /// Step `n` fails, the next one does not.
    pub fn once(n: u64, failure: Failure) -> Fault {
        Fault {
            first: n,
            last: n,
            effect: Effect::Fail(failure),
        }
    }

    /// Step `n` and all after it fail, until [`Steps::heal`].
    pub fn always_from(n: u64, failure: Failure) -> Fault {
        Fault {
            first: n,
            last: u64::MAX,
            effect: Effect::Fail(failure),
        }
    }

    /// `call` runs just before step `n`: to move a clock, to damage an object, to let a session expire.
    pub fn before(n: u64, call: impl FnOnce() + Send + 'static) -> Fault {
        Fault {
            first: n,
            last: n,
            effect: Effect::Call(Box::new(call)),
        }
    }

    fn is_at(&self, number: u64) -> bool {
        (self.first..=self.last).contains(&number)
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let effect = match &self.effect {
            Effect::Stop => "stop".to_owned(),
            Effect::Fail(failure) => format!("{failure:?}"),
            Effect::Call(_) => "call".to_owned(),
        };
        write!(f, "{effect} at {}", self.first)?;
        if self.last > self.first {
            write!(f, " and after")
        } else {
            Ok(())
        }
    }
}

impl fmt::Debug for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = self.plan();
        let mut shown = f.debug_struct("Steps");
        shown.field("taken", &plan.taken).field("faults", &plan.faults);
        shown.field("is_stopped", &plan.is_stopped).finish_non_exhaustive()
    }
}

impl Steps {
    /// Steps without faults.
    pub fn new() -> Steps {
        Steps::default()
    }

    /// Steps with these faults. Where several wait at one step, calls come first, then the first in order.
    pub fn with(faults: impl IntoIterator<Item = Fault>) -> Steps {
        let steps = Steps::default();
        steps.plan().faults = faults.into_iter().collect();
        steps
    }

    /// Takes a step; the caller does what it announced only if the answer is `Ok`.
    pub fn step(&self, what: What) -> Result<(), Stop> {
        let (number, calls) = self.plan().begin(what.clone())?;
        // Without the lock: a call may look at the steps, or stop them.
        calls.into_iter().for_each(|call| call());
        self.plan().judge(number, &what)
    }

    /// Takes the step of a database transaction. `name` is for the log.
    pub fn database(&self, name: &str) -> Result<(), Stop> {
        self.step(What::Database(name.to_owned()))
    }

    /// How many steps were taken, the one that stopped the machine included. A run with a fault at `n`
    /// that has taken fewer than `n` got through untouched: the loop over `n` is done.
    pub fn taken(&self) -> u64 {
        self.plan().taken
    }

    /// How many steps failed: to see that a test's fault came, and how often it was retried.
    pub fn fired(&self) -> u64 {
        self.plan().fired
    }

    /// Whether the machine has stopped.
    pub fn is_stopped(&self) -> bool {
        self.plan().is_stopped
    }

    /// Stops the machine between two steps.
    pub fn stop(&self) {
        self.plan().is_stopped = true;
    }

    /// Takes away all faults that are still to come. A machine that has stopped stays so.
    pub fn heal(&self) {
        self.plan().faults.clear();
    }

    /// Logs that `fact` is true from now on, durably.
    pub fn starts(&self, fact: Fact) {
        self.plan().log(Event::Starts(fact));
    }

    /// Logs that `fact` may be untrue from now on: call it before the change that ends it.
    pub fn ends(&self, fact: Fact) {
        self.plan().log(Event::Ends(fact));
    }

    /// Everything that happened, in order. The log grows without bound: a soak makes new steps now and then.
    pub fn events(&self) -> Vec<Event> {
        self.plan().events.clone()
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Plan {
    /// Counts the step, and takes the calls that come before it out of the plan.
    fn begin(&mut self, what: What) -> Result<(u64, Vec<Call>), Stop> {
        if self.is_stopped {
            return Err(Stop::Off);
        }
        self.taken += 1;
        let number = self.taken;
        self.log(Event::Step { number, what });
        let is_call = |fault: &mut Fault| fault.is_at(number) && matches!(fault.effect, Effect::Call(_));
        let calls = self.faults.extract_if(.., is_call);
        let calls = calls.filter_map(|fault| match fault.effect {
            Effect::Call(call) => Some(call),
            _ => None,
        });
        Ok((number, calls.collect()))
    }

    fn judge(&mut self, number: u64, what: &What) -> Result<(), Stop> {
        if self.is_stopped {
            return Err(Stop::Off);
        }
        let strike = |fault: &Fault| match fault.effect {
            Effect::Stop => Some(Stop::Cut),
            Effect::Fail(Failure::NoSpace) if !what.takes_space() => None,
            Effect::Fail(failure) => Some(Stop::Fails(failure)),
            Effect::Call(_) => None,
        };
        let mut here = self.faults.iter().filter(|fault| fault.is_at(number));
        let Some(stop) = here.find_map(strike) else {
            return Ok(());
        };
        self.fired += 1;
        self.log(Event::Fired { number, stop });
        self.is_stopped = stop == Stop::Cut;
        Err(stop)
    }

    /// A machine that is off logs nothing.
    fn log(&mut self, event: Event) {
        if !self.is_stopped {
            self.events.push(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes five steps, put and get in turn; `.` for each that went through.
    fn walk(steps: &Steps) -> String {
        let key = Key::new("k").unwrap();
        let shown = |number| {
            let even = number % 2 == 0;
            let what = if even {
                What::Get(key.clone())
            } else {
                What::Put(key.clone())
            };
            match steps.step(what) {
                Ok(()) => '.',
                Err(Stop::Cut) => 'X',
                Err(Stop::Off) => '-',
                Err(Stop::Fails(Failure::NoSpace)) => 'n',
                Err(Stop::Fails(Failure::Io)) => 'i',
            }
        };
        (1..=5).map(shown).collect()
    }

    fn check(fault: Fault, walked: &str, taken: u64, fired: u64) {
        let shown = format!("{fault:?}");
        let steps = Steps::with([fault]);
        assert_eq!(walk(&steps), walked, "{shown}");
        assert_eq!((steps.taken(), steps.fired()), (taken, fired), "{shown}");
    }

    #[test]
    fn faults_come_at_their_steps() {
        check(Fault::stop_at(1), "X----", 1, 1);
        check(Fault::stop_at(3), "..X--", 3, 1);
        check(Fault::stop_at(6), ".....", 5, 0);
        check(Fault::once(2, Failure::Io), ".i...", 5, 1);
        check(Fault::once(2, Failure::NoSpace), ".....", 5, 0);
        check(Fault::once(3, Failure::NoSpace), "..n..", 5, 1);
        check(Fault::always_from(2, Failure::Io), ".iiii", 5, 4);
        check(Fault::always_from(2, Failure::NoSpace), "..n.n", 5, 2);
    }

    #[test]
    fn a_call_may_use_the_steps() {
        let steps = Steps::new();
        let inner = steps.clone();
        steps.plan().faults.push(Fault::before(3, move || inner.stop()));
        assert_eq!(walk(&steps), "..---");
    }

    #[test]
    fn healing_ends_lasting_faults() {
        let steps = Steps::with([Fault::always_from(1, Failure::Io)]);
        assert_eq!(walk(&steps), "iiiii");
        steps.heal();
        assert_eq!(walk(&steps), ".....");
    }
}
