//! Enumerations whose members have one spelling everywhere: in the database, in JSON, in the API of both presentations.

/// Why a text names no member of an enumeration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is no {noun}: it must be one of {known}")]
pub struct WordError {
    noun: &'static str,
    text: String,
    known: String,
}

impl WordError {
    pub(crate) fn new(noun: &'static str, text: &str, known: &[&str]) -> Self {
        Self {
            noun,
            text: text.chars().take(60).collect(),
            known: known.join(", "),
        }
    }
}

/// Declares an enumeration whose members are spelled as their names are.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $noun:literal { $($(#[$member_doc:meta])* $member:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        pub enum $name {
            $($(#[$member_doc])* $member,)*
        }

        impl $name {
            /// Every member, in the order of their declaration.
            pub const ALL: &'static [$name] = &[$(Self::$member,)*];

            /// How it is spelled.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$member => stringify!($member),)*
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::WordError;

            fn from_str(text: &str) -> Result<Self, $crate::WordError> {
                let found = Self::ALL.iter().find(|member| member.as_str().eq_ignore_ascii_case(text));
                found.copied().ok_or_else(|| {
                    let known: Vec<&str> = Self::ALL.iter().map(|member| member.as_str()).collect();
                    $crate::WordError::new($noun, text, &known)
                })
            }
        }
    };
}

pub(crate) use words;
