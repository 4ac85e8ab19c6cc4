//! The state of the console, and what each message makes of it.

use jiff::Timestamp;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use strongroom_agent::{Here, MachineState, Told};
use strongroom_api::JobView;
use strongroom_engine::Figures;

use super::dialog::{Answer, Dialog};
use super::effect::Effect;
use super::jobs::Jobs;
use super::message::Message;
use super::restore::Restore;
use super::settings::Settings;

/// The screens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    Overview,
    Jobs,
    Restore,
    Settings,
}

impl Tab {
    pub(super) const ALL: [Self; 4] = [Self::Overview, Self::Jobs, Self::Restore, Self::Settings];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Jobs => "Jobs",
            Self::Restore => "Restore",
            Self::Settings => "Settings",
        }
    }

    fn next(self) -> Self {
        let at = Self::ALL.iter().position(|tab| *tab == self).unwrap_or(0);
        Self::ALL[(at + 1) % Self::ALL.len()]
    }
}

/// What the console does itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// A backup, in a process of its own; the service tells how far it is.
    BackUp,
    /// A restore.
    Restore(Figures),
}

/// Since when the service does not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Away {
    pub(super) since: Timestamp,
    pub(super) why: String,
}

/// All that the screen shows.
#[derive(Debug, Clone)]
pub(super) struct Console {
    pub(super) machine: String,
    pub(super) vault: String,
    pub(super) service: String,
    pub(super) tab: Tab,
    /// The time, as far as it is known.
    pub(super) now: Option<Timestamp>,
    pub(super) here: Option<Here>,
    pub(super) told: Option<Told>,
    pub(super) away: Option<Away>,
    pub(super) jobs: Jobs,
    pub(super) restore: Restore,
    pub(super) settings: Settings,
    pub(super) dialog: Option<Dialog>,
    pub(super) work: Option<Work>,
    /// What was told last, below.
    pub(super) note: Option<String>,
}

impl Console {
    /// Of a machine of which nothing is known yet.
    pub(super) fn new(machine: &MachineState) -> Self {
        Self {
            machine: machine.name.to_string(),
            vault: machine.vault_name.to_string(),
            service: machine.url.clone(),
            tab: Tab::Overview,
            now: None,
            here: None,
            told: None,
            away: None,
            jobs: Jobs::default(),
            restore: Restore::default(),
            settings: Settings::default(),
            dialog: None,
            work: None,
            note: None,
        }
    }

    /// What a message changes, and what is to be done about it.
    pub(super) fn update(&mut self, message: Message) -> Vec<Effect> {
        match message {
            Message::Key(key) if key.kind == KeyEventKind::Release => Vec::new(),
            Message::Key(key) => self.key(key),
            Message::Resized => Vec::new(),
            Message::Tick(now, here) => {
                self.now = Some(now);
                match *here {
                    Ok(here) => self.here = Some(here),
                    Err(why) => self.note = Some(why),
                }
                Vec::new()
            }
            Message::Told(told) => {
                self.told(*told);
                Vec::new()
            }
            Message::Points(points) => {
                self.restore.take_points(points);
                Vec::new()
            }
            Message::Listed(wanted, listed) => {
                if let Err(why) = self.restore.take_listing(&wanted, listed) {
                    self.tell(why);
                }
                Vec::new()
            }
            Message::Progress(figures) => {
                if let Some(Work::Restore(known)) = &mut self.work {
                    *known = figures;
                }
                Vec::new()
            }
            Message::Ended(how) => {
                self.work = None;
                self.tell(how.unwrap_or_else(not_done));
                vec![Effect::Ask]
            }
            Message::Done(how) => {
                match how {
                    Ok(done) => self.note = Some(done),
                    Err(why) => self.tell(not_done(why)),
                }
                vec![Effect::Ask]
            }
            Message::Stop => vec![Effect::Leave],
        }
    }

    /// Tells something that has to be read. What somebody is typing is not taken away for it.
    fn tell(&mut self, text: String) {
        match self.dialog {
            None => self.dialog = Some(Dialog::Notice(text)),
            Some(_) => self.note = Some(text),
        }
    }

    /// Says that the end is waited for.
    pub(super) fn ends(&mut self) {
        self.dialog = None;
        self.note = self.work.map(|_| "Stopping what is under way …".to_owned());
    }

    fn told(&mut self, told: Result<Told, String>) {
        match told {
            Ok(told) => {
                self.jobs.keep_chosen(&told.jobs);
                self.told = Some(told);
                self.away = None;
            }
            Err(why) => {
                let since = match &self.away {
                    Some(away) => Some(away.since),
                    None => self.now,
                };
                self.away = since.map(|since| Away { since, why });
            }
        }
    }

    fn key(&mut self, key: KeyEvent) -> Vec<Effect> {
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
            return self.leave();
        }
        if let Some(dialog) = self.dialog.take() {
            return match dialog.key(key) {
                Answer::Open(dialog) => {
                    self.dialog = Some(dialog);
                    Vec::new()
                }
                Answer::Closed => Vec::new(),
                Answer::Wants(effects) => self.begun(effects),
            };
        }
        self.note = None;
        let effects = match self.tab {
            Tab::Overview => None,
            Tab::Jobs => self
                .jobs
                .key(key, self.told.as_ref().map_or(&[][..], |told| &told.jobs)),
            Tab::Restore => self.restore.key(key, &mut self.dialog),
            Tab::Settings => self.settings.key(key, self.here.as_ref(), &mut self.dialog),
        };
        match effects {
            Some(effects) => self.begun(effects),
            None => self.general_key(key),
        }
    }

    fn general_key(&mut self, key: KeyEvent) -> Vec<Effect> {
        match key.code {
            KeyCode::Tab => return self.open(self.tab.next()),
            KeyCode::Char(digit @ '1'..='4') => return self.open(Tab::ALL[digit as usize - '1' as usize]),
            KeyCode::Char('?') => self.dialog = Some(Dialog::Help),
            KeyCode::Char('b') => return self.back_up(),
            KeyCode::Char('c') => self.ask_to_cancel(),
            KeyCode::Char('q') => return self.leave(),
            _ => {}
        }
        Vec::new()
    }

    fn open(&mut self, tab: Tab) -> Vec<Effect> {
        self.tab = tab;
        match tab {
            Tab::Restore => self.restore.begin(),
            _ => Vec::new(),
        }
    }

    /// Notes what begins by these effects.
    fn begun(&mut self, effects: Vec<Effect>) -> Vec<Effect> {
        for effect in &effects {
            match effect {
                Effect::BackUp => self.work = Some(Work::BackUp),
                Effect::Restore(..) if self.work.is_some() => {
                    self.note = Some("Something else is done just now: wait for it, or cancel it with c.".to_owned());
                    return Vec::new();
                }
                Effect::Restore(..) => self.work = Some(Work::Restore(Figures::default())),
                Effect::List(wanted) => self.restore.awaits(wanted.clone()),
                Effect::Stop => self.note = Some("Stopping; what was done so far is kept …".to_owned()),
                _ => {}
            }
        }
        effects
    }

    fn back_up(&mut self) -> Vec<Effect> {
        if self.work.is_some() {
            self.note = Some("Something else is done just now: wait for it, or cancel it with c.".to_owned());
            return Vec::new();
        }
        self.dialog = Some(Dialog::question(
            "Back up now what the settings select?",
            vec![Effect::BackUp],
        ));
        Vec::new()
    }

    /// The job that `c` is about: the chosen one, or the only one that is under way.
    fn job_to_cancel(&self) -> Option<&JobView> {
        let told = self.told.as_ref()?;
        let chosen = (self.tab == Tab::Jobs)
            .then(|| told.jobs.get(self.jobs.chosen.0))
            .flatten();
        chosen
            .filter(|job| job.state.is_open())
            .or_else(|| told.open_jobs().next())
    }

    fn ask_to_cancel(&mut self) {
        let question = match (self.work, self.job_to_cancel()) {
            (Some(Work::BackUp), _) => Some(("Stop the backup? What it has sent is kept.".to_owned(), Effect::Stop)),
            (Some(Work::Restore(_)), _) => {
                Some(("Stop the restore? What it has written stays.".to_owned(), Effect::Stop))
            }
            (None, Some(job)) => {
                let text = format!(
                    "Stop the job {} ({})? What it has done so far is kept.",
                    job.operation, job.id
                );
                Some((text, Effect::CancelJob(job.id)))
            }
            (None, None) => None,
        };
        match question {
            Some((text, effect)) => self.dialog = Some(Dialog::question(&text, vec![effect])),
            None => self.note = Some("Nothing is under way.".to_owned()),
        }
    }

    fn leave(&mut self) -> Vec<Effect> {
        match self.work {
            None => vec![Effect::Leave],
            Some(work) => {
                let what = match work {
                    Work::BackUp => "backup",
                    Work::Restore(_) => "restore",
                };
                let text = format!("Stop the {what} and leave? The next one goes on where it was.");
                self.dialog = Some(Dialog::question(&text, vec![Effect::Leave]));
                Vec::new()
            }
        }
    }
}

fn not_done(why: String) -> String {
    format!("Not done: {why}")
}
