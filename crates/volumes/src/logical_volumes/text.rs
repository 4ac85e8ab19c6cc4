//! The language in which LVM describes a volume group: sections in braces, and values, which are numbers, texts and lists.

/// How deep sections may lie in each other; LVM needs four.
const DEPTH_MAX: usize = 8;
/// How many sections and values a description has at most.
const ITEMS_MAX: usize = 1 << 20;

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Number(u64),
    Text(String),
}

/// What stands between two braces.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Section {
    pub(super) sections: Vec<(String, Section)>,
    /// A single value is a list of one.
    values: Vec<(String, Vec<Value>)>,
}

impl Section {
    pub(super) fn section(&self, name: &str) -> Option<&Section> {
        self.sections
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, section)| section)
    }

    fn list(&self, name: &str) -> &[Value] {
        self.values
            .iter()
            .find(|(found, _)| found == name)
            .map_or(&[], |(_, values)| values)
    }

    pub(super) fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        self.list(name).iter().filter_map(|value| match value {
            Value::Text(text) => Some(text.as_str()),
            Value::Number(_) => None,
        })
    }

    pub(super) fn numbers(&self, name: &str) -> impl Iterator<Item = u64> {
        self.list(name).iter().filter_map(|value| match value {
            Value::Number(number) => Some(*number),
            Value::Text(_) => None,
        })
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.texts(name).next()
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.numbers(name).next()
    }
}

/// The whole description as a section, or nothing if it is none.
pub(super) fn parse(text: &str) -> Option<Section> {
    let mut open = vec![(String::new(), Section::default())];
    let mut words = Words { rest: text };
    for _ in 0..ITEMS_MAX {
        let word = match words.next() {
            None => break,
            Some(word) => word,
        };
        if word == "}" {
            let (name, section) = open.pop()?;
            open.last_mut()?.1.sections.push((name, section));
            continue;
        }
        match words.next()? {
            "{" if open.len() < DEPTH_MAX => open.push((word.to_owned(), Section::default())),
            "=" => {
                let values = words.values()?;
                open.last_mut()?.1.values.push((word.to_owned(), values));
            }
            _ => return None,
        }
    }
    let (_, whole) = open.pop()?;
    open.is_empty().then_some(whole)
}

struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    /// A name, a number, a text with its quotes, or one of `{}[]=,`.
    fn next(&mut self) -> Option<&'a str> {
        loop {
            self.rest = self
                .rest
                .trim_start_matches(|letter: char| letter.is_whitespace() || letter == '\0');
            if !self.rest.starts_with('#') {
                break;
            }
            self.rest = self.rest.split_once('\n').map_or("", |(_, rest)| rest);
        }
        let first = self.rest.chars().next()?;
        let length = match first {
            '{' | '}' | '[' | ']' | '=' | ',' => 1,
            '"' => closing_quote(self.rest)? + 1,
            _ => {
                let ends = |letter: char| letter.is_whitespace() || "{}[]=,\"#\0".contains(letter);
                self.rest.find(ends).unwrap_or(self.rest.len())
            }
        };
        let (word, rest) = self.rest.split_at(length);
        self.rest = rest;
        Some(word)
    }

    fn values(&mut self) -> Option<Vec<Value>> {
        let first = self.next()?;
        if first != "[" {
            return Some(vec![value(first)?]);
        }
        let mut values = Vec::new();
        loop {
            match self.next()? {
                "]" => return Some(values),
                "," => {}
                word => values.push(value(word)?),
            }
        }
    }
}

fn closing_quote(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return Some(at),
            _ => at += 1,
        }
    }
    None
}

fn value(word: &str) -> Option<Value> {
    match word.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(text) => Some(Value::Text(text.to_owned())),
        // Numbers below zero and with a point exist, but nothing here asks for them.
        None if word.starts_with(|letter: char| letter.is_ascii_digit() || letter == '-') => {
            Some(Value::Number(word.parse().unwrap_or(u64::MAX)))
        }
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_and_values() {
        let text = "vg { # a \"comment\" }\n id = \"a-b\"\nseqno = 3\nflags=[ ]\n pv { stripes = [\"pv0\", 12] } }\nversion = 1";
        let whole = parse(text).unwrap();
        let group = whole.section("vg").unwrap();
        assert_eq!(
            (group.text("id"), group.number("seqno"), group.text("flags")),
            (Some("a-b"), Some(3), None)
        );
        let stripes = group.section("pv").unwrap();
        assert_eq!(
            (stripes.text("stripes"), stripes.number("stripes")),
            (Some("pv0"), Some(12))
        );
    }

    #[test]
    fn nonsense_is_no_description() {
        let deep = "a {".repeat(1 << 16);
        for text in ["vg {", "}", "=", "a = [", "a = \"", "a = \"\\", "a b", deep.as_str()] {
            assert_eq!(parse(text), None, "{text:.20}");
        }
    }
}
