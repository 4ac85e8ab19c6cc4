//! Days of the week, as people write them.

use strongroom_model::policy::Day;

/// Reads `monday` or `mon`.
pub(crate) fn day(text: &str) -> Result<Day, String> {
    let found = Day::ALL.into_iter().find(|day| {
        let name = format!("{day:?}");
        name.eq_ignore_ascii_case(text) || (text.len() == 3 && name[..3].eq_ignore_ascii_case(text))
    });
    found.ok_or_else(|| format!("\"{text}\" is no day of the week: say monday, or mon"))
}

/// How it is shown.
pub(crate) fn short(day: Day) -> String {
    format!("{day:?}")[..3].to_lowercase()
}
