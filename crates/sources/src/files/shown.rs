//! A path of any bytes, fit to be printed.

use std::fmt;

/// Shows a path on one line: what is UTF-8 as it is, control characters and stray bytes escaped.
#[derive(Debug, Clone, Copy)]
pub struct ShownPath<'a>(pub &'a [u8]);

impl fmt::Display for ShownPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.0.utf8_chunks() {
            for character in part.valid().chars() {
                match character {
                    '\\' => f.write_str("\\\\")?,
                    c if c.is_control() => write!(f, "{}", c.escape_default())?,
                    c => write!(f, "{c}")?,
                }
            }
            for byte in part.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::ShownPath;

    #[test]
    fn every_path_fits_on_one_line() {
        let cases: [(&[u8], &str); 5] = [
            (b"usr/lib", "usr/lib"),
            ("größe".as_bytes(), "größe"),
            (b"two\nlines", "two\\nlines"),
            (b"not\xff\xfeutf", "not\\xff\\xfeutf"),
            (b"back\\slash", "back\\\\slash"),
        ];
        for (bytes, shown) in cases {
            assert_eq!(ShownPath(bytes).to_string(), shown);
        }
    }
}
