//! The program in a terminal of its own, whose screen is read as a person sees it.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use vt100::Parser;

use super::program::wait_for;

pub const ENTER: &str = "\r";
pub const DOWN: &str = "\x1b[B";
pub const ESCAPE: &str = "\x1b";
pub const CONTROL_C: &str = "\x03";
pub const CONTROL_U: &str = "\x15";

/// A program that runs in a pseudo-terminal.
pub struct Pty {
    keys: File,
    /// The program's side: a terminal like any other.
    terminal: File,
    shared: Arc<Mutex<Seen>>,
    child: Child,
}

struct Seen {
    parser: Parser,
    /// All that was written to the terminal.
    written: Vec<u8>,
}

fn size(rows: u16, columns: u16) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

fn positive(count: u16) -> NonZero<u16> {
    NonZero::new(count).expect("a terminal has rows and columns")
}

fn parser(rows: u16, columns: u16) -> Parser {
    Parser::new(positive(rows), positive(columns), 0)
}

impl Pty {
    /// Runs it in a terminal of 80 by 24, which is the one of its session, so that it hears of another size.
    pub fn start(command: &Command) -> Self {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let name = ptsname(&controller, Vec::new()).unwrap().into_string().unwrap();
        let terminal = OpenOptions::new().read(true).write(true).open(name).unwrap();
        tcsetwinsize(&terminal, size(24, 80)).unwrap();
        let mut inside = Command::new("setsid");
        inside.arg("--ctty").arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        inside.env("TERM", "xterm-256color");
        let side = || OwnedFd::from(terminal.try_clone().unwrap());
        let child = inside.stdin(side()).stdout(side()).stderr(side()).spawn().unwrap();
        let shared = Arc::new(Mutex::new(Seen {
            parser: parser(24, 80),
            written: Vec::new(),
        }));
        let (mut screen, seen) = (File::from(controller), shared.clone());
        let keys = screen.try_clone().unwrap();
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = screen.read(&mut piece) {
                let mut seen = seen.lock().unwrap();
                seen.parser.process(&piece[..length]);
                seen.written.extend_from_slice(&piece[..length]);
            }
        });
        Self {
            keys,
            terminal,
            shared,
            child,
        }
    }

    /// What the screen shows, a line each.
    pub fn screen(&self) -> String {
        self.shared.lock().unwrap().parser.screen().contents()
    }

    /// All bytes that were written to the terminal.
    pub fn written(&self) -> Vec<u8> {
        self.shared.lock().unwrap().written.clone()
    }

    /// Waits until the screen has all of this on it, and returns it.
    pub fn shows(&self, words: &[&str]) -> String {
        wait_for(&format!("{words:?} on the screen"), || {
            let screen = self.screen();
            words.iter().all(|word| screen.contains(word)).then_some(screen)
        })
    }

    /// Presses keys, as a terminal sends them.
    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Types something in place of what stands there.
    pub fn type_over(&mut self, text: &str) {
        self.press(CONTROL_U);
        self.press(text);
        self.shows(&[text.get(text.len().saturating_sub(40)..).unwrap_or(text)]);
        self.press(ENTER);
    }

    /// Makes the terminal as large as this.
    pub fn resize(&self, rows: u16, columns: u16) {
        self.shared
            .lock()
            .unwrap()
            .parser
            .screen_mut()
            .set_size(positive(rows), positive(columns));
        tcsetwinsize(&self.terminal, size(rows, columns)).unwrap();
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end, and sees that the terminal is as it was before.
    pub fn left_clean(&mut self) -> ExitStatus {
        let status = wait_for("its end", || self.child.try_wait().unwrap());
        wait_for("a terminal as it was", || {
            let seen = self.shared.lock().unwrap();
            let screen = seen.parser.screen();
            (!screen.alternate_screen() && !screen.hide_cursor()).then_some(())
        });
        let modes = tcgetattr(&self.terminal).unwrap().local_modes;
        assert!(
            modes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG),
            "{modes:?}"
        );
        status
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            println!("the screen:\n{}", self.screen());
        }
    }
}
