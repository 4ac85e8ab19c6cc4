//! Names that people give, parsed once at the edge.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a name was refused; the sentence says what a right one looks like.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{name}\" is not a valid {noun}: {rule}")]
pub struct NameError {
    noun: &'static str,
    name: String,
    rule: &'static str,
}

macro_rules! typed_name {
    ($(#[$doc:meta])* $name:ident, $noun:literal, $valid:expr, $pattern:literal, $rule:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(extend("pattern" = $pattern))]
        pub struct $name(String);

        impl $name {
            /// The rule as a regular expression, for those who read the description of the API.
            pub const PATTERN: &str = $pattern;

            /// The name as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The form in which names are compared and kept unique.
            pub fn folded(&self) -> String {
                self.0.to_ascii_lowercase()
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) {
                    return Ok(Self(text.to_owned()));
                }
                let name = text.chars().take(80).collect();
                Err(NameError { noun: $noun, name, rule: $rule })
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }
    };
}

typed_name!(/// The name of a vault, unique in its resource group without regard to case (the rules of Azure).
    VaultName, "vault name", is_vault_name, "^[A-Za-z][A-Za-z0-9-]{1,49}$",
    "it must have 2 to 50 characters, begin with a letter, and continue with letters, digits and hyphens");
typed_name!(/// The name of a registered machine, unique in its vault without regard to case.
    MachineName, "machine name", is_machine_name, "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
    "it must have 1 to 64 characters, begin with a letter or digit, and continue with letters, digits, '.', '_' and '-'");
typed_name!(/// The name of a policy, unique in its vault without regard to case (the rules of Azure).
    PolicyName, "policy name", is_policy_name, "^[A-Za-z][A-Za-z0-9-]{2,149}$",
    "it must have 3 to 150 characters, begin with a letter, and continue with letters, digits and hyphens");
typed_name!(/// The name of a resource guard, unique in its resource group without regard to case.
    GuardName, "name of a resource guard", is_policy_name, "^[A-Za-z][A-Za-z0-9-]{2,149}$",
    "it must have 3 to 150 characters, begin with a letter, and continue with letters, digits and hyphens");
typed_name!(/// The name of a resource group, unique without regard to case (the rules of Azure, within ASCII).
    ResourceGroupName, "resource group name", is_resource_group_name, "^[A-Za-z0-9._()-]{0,89}[A-Za-z0-9_()-]$",
    "it must have 1 to 90 letters, digits, '.', '_', '-', '(' and ')', and not end with a '.'");
typed_name!(/// The name that a user signs in with, unique without regard to case.
    UserName, "user name", is_user_name, "^[A-Za-z0-9][A-Za-z0-9._+@-]{0,63}$",
    "it must have 1 to 64 characters, begin with a letter or digit, and continue with letters, digits, '.', '_', '-', '+' and '@'");
typed_name!(/// What people call a service principal, unique without regard to case.
    PrincipalName, "name of a service principal", is_user_name, "^[A-Za-z0-9][A-Za-z0-9._+@-]{0,63}$",
    "it must have 1 to 64 characters, begin with a letter or digit, and continue with letters, digits, '.', '_', '-', '+' and '@'");
typed_name!(/// What the service's configuration calls a provider that people sign in with, and the address that it sends them back to.
    ProviderName, "name of a provider", is_region, "^[a-z][a-z0-9-]{0,31}$",
    "it must have 1 to 32 characters, begin with a lower-case letter, and continue with lower-case letters, digits and hyphens");
typed_name!(/// A region: a place where objects are kept.
    Region, "region name", is_region, "^[a-z][a-z0-9-]{0,31}$",
    "it must have 1 to 32 characters, begin with a lower-case letter, and continue with lower-case letters, digits and hyphens");

impl Default for Region {
    /// The place beside the service itself.
    fn default() -> Self {
        Self("local".to_owned())
    }
}

impl Default for ResourceGroupName {
    /// The group that is always there.
    fn default() -> Self {
        Self("default".to_owned())
    }
}

fn is_resource_group_name(text: &str) -> bool {
    (1..=90).contains(&text.len())
        && !text.ends_with('.')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '(' | ')'))
}

fn is_user_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '@'))
}

fn is_vault_name(text: &str) -> bool {
    (2..=50).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

fn is_policy_name(text: &str) -> bool {
    (3..=150).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

fn is_machine_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

fn is_region(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<N: FromStr<Err = NameError> + fmt::Display>(good: &[&str], bad: &[&str]) {
        for text in good {
            assert_eq!(text.parse::<N>().unwrap().to_string(), *text);
        }
        for text in bad {
            let sentence = text
                .parse::<N>()
                .err()
                .unwrap_or_else(|| panic!("{text:?} was taken"))
                .to_string();
            assert!(sentence.contains("it must have"), "{sentence}");
        }
    }

    #[test]
    fn vault_names() {
        let long = "v".repeat(50);
        let too_long = "v".repeat(51);
        check::<VaultName>(
            &["v1", "Main-vault", &long],
            &["1bad", "v", "", "a_b", "a b", "-a", "vü", &too_long, "a\n"],
        );
    }

    #[test]
    fn resource_groups_and_users() {
        check::<ResourceGroupName>(
            &["default", "(a).b_c-1", &"g".repeat(90)],
            &["", "a.", "a b", "ä", &"g".repeat(91)],
        );
        check::<UserName>(
            &["admin", "eve@example.org", "0"],
            &["", "@a", "a b", "a/b", &"u".repeat(65)],
        );
        assert_eq!(ResourceGroupName::default().as_str(), "default");
    }

    #[test]
    fn machine_names() {
        check::<MachineName>(
            &["web-1.example.org", "7", "A_b"],
            &["", ".", "-x", "a b", "a/b", &"m".repeat(65)],
        );
    }

    #[test]
    fn regions() {
        check::<Region>(&["local", "west-europe2"], &["", "West", "2a", "a_b"]);
        assert_eq!(Region::default().as_str(), "local");
    }

    /// A pattern without its anchors, which a generator of strings has no use for.
    fn within(pattern: &'static str) -> &'static str {
        pattern.trim_start_matches('^').trim_end_matches('$')
    }

    proptest::proptest! {
        #[test]
        fn the_pattern_says_what_the_rule_says(
            vault in within(VaultName::PATTERN), machine in within(MachineName::PATTERN), policy in within(PolicyName::PATTERN),
            group in within(ResourceGroupName::PATTERN), user in within(UserName::PATTERN), region in within(Region::PATTERN),
            other in "[ -~]{0,4}",
        ) {
            fn has<N: FromStr>(text: &str) -> bool {
                text.parse::<N>().is_ok()
            }
            assert!(has::<VaultName>(&vault) && has::<MachineName>(&machine) && has::<PolicyName>(&policy));
            assert!(has::<ResourceGroupName>(&group) && has::<UserName>(&user) && has::<Region>(&region));
            // Nothing that the pattern of user names lacks is in a name.
            let plain = |c: char| c.is_ascii_alphanumeric() || "._+@-".contains(c);
            let named = !other.is_empty() && other.chars().all(plain) && other.starts_with(|c: char| c.is_ascii_alphanumeric());
            assert_eq!(has::<UserName>(&other), named, "{}", other);
        }
    }

    #[test]
    fn names_come_from_json_checked() {
        assert!(serde_json::from_str::<VaultName>("\"1bad\"").is_err());
        assert_eq!(serde_json::from_str::<VaultName>("\"Ok-1\"").unwrap().folded(), "ok-1");
    }
}
