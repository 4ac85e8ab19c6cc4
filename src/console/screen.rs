//! The terminal that the console has for itself, given back as it was whatever happens.

use std::io::{self, Stdout};
use std::panic;

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::{Frame, Terminal};

use crate::failure::Failure;

/// The alternate screen, in raw mode. It is left when this is dropped, and before a panic is told.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    /// Takes the terminal.
    pub(super) fn enter() -> Result<Self, Failure> {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |fault| {
            // The panic itself is of more interest than a terminal that cannot be given back.
            let _ = give_back();
            usual(fault);
        }));
        enable_raw_mode()?;
        let entered = execute!(io::stdout(), EnterAlternateScreen);
        let terminal = entered.and_then(|()| Terminal::new(CrosstermBackend::new(io::stdout())));
        match terminal {
            Ok(terminal) => Ok(Self { terminal }),
            Err(error) => {
                give_back()?;
                Err(error.into())
            }
        }
    }

    /// Draws a screen of the size that the terminal has now.
    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> Result<(), Failure> {
        self.terminal.draw(draw)?;
        Ok(())
    }

    /// Gives the terminal back, and says if that fails.
    pub(super) fn leave(self) -> Result<(), Failure> {
        Ok(give_back()?)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Nobody is left to tell it to.
        let _ = give_back();
    }
}

fn give_back() -> io::Result<()> {
    disable_raw_mode()?;
    execute!(io::stdout(), LeaveAlternateScreen, Show)
}
