//! How things look: colours, or without them.

use ratatui::style::{Color, Modifier, Style};

/// Styles of the console.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    has_colours: bool,
}

impl Look {
    /// As the environment wants it: `NO_COLOR`, if it is not empty, takes the colours away.
    pub(super) fn of_environment() -> Self {
        Self {
            has_colours: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        }
    }

    #[cfg(test)]
    pub(super) fn plain() -> Self {
        Self { has_colours: false }
    }

    fn coloured(self, colour: Color) -> Style {
        match self.has_colours {
            true => Style::new().fg(colour),
            false => Style::new(),
        }
    }

    /// Names of things that stand beside them.
    pub(super) fn label(self) -> Style {
        self.coloured(Color::Cyan)
    }

    /// What is amiss.
    pub(super) fn bad(self) -> Style {
        self.coloured(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// What went well.
    pub(super) fn good(self) -> Style {
        self.coloured(Color::Green)
    }

    /// Headings.
    pub(super) fn title(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// What is chosen.
    pub(super) fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}
