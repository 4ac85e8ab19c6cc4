//! Request bodies as clients really send them: keys in any case, nulls for what is absent, names misspelled.

use serde_json::Value;

use super::error::{ArmError, ArmResult};

/// A part of a request's body, and where it stands in it.
#[derive(Debug, Clone)]
pub(crate) struct Loose<'a> {
    value: &'a Value,
    place: String,
}

impl<'a> Loose<'a> {
    /// A whole body.
    pub(crate) fn new(value: &'a Value) -> Self {
        let place = String::new();
        Self { value, place }
    }

    /// The value as it was sent.
    pub(crate) fn value(&self) -> &'a Value {
        self.value
    }

    /// The member of this name, in whatever case; `None` for null.
    pub(crate) fn get(&self, key: &str) -> Option<Loose<'a>> {
        let members = self.value.as_object()?;
        let found = members.iter().find(|(name, _)| name.eq_ignore_ascii_case(key));
        let (_, value) = found.filter(|(_, value)| !value.is_null())?;
        let place = match self.place.as_str() {
            "" => key.to_owned(),
            place => format!("{place}.{key}"),
        };
        Some(Loose { value, place })
    }

    /// As [`Loose::get`], for what must be there.
    pub(crate) fn need(&self, key: &str) -> ArmResult<Loose<'a>> {
        self.get(key)
            .ok_or_else(|| self.wrong(&format!("\"{key}\" is missing in it")))
    }

    /// The text of a member, if there is one that is text.
    pub(crate) fn text_of(&self, key: &str) -> ArmResult<Option<&'a str>> {
        self.get(key).map(|member| member.text()).transpose()
    }

    pub(crate) fn text(&self) -> ArmResult<&'a str> {
        self.value.as_str().ok_or_else(|| self.wrong("it must be text"))
    }

    /// A whole number that is not negative, also when it was sent as text.
    pub(crate) fn number(&self) -> ArmResult<u32> {
        let number = match self.value {
            Value::String(text) => text.trim().parse().ok(),
            value => value.as_u64().and_then(|number| u32::try_from(number).ok()),
        };
        number.ok_or_else(|| self.wrong("it must be a whole number"))
    }

    /// A flag, also when it was sent as text.
    pub(crate) fn flag(&self) -> ArmResult<bool> {
        match self.value {
            Value::Bool(flag) => Ok(*flag),
            Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Value::String(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            _ => Err(self.wrong("it must be true or false")),
        }
    }

    /// Whether a member is true; absent is false.
    pub(crate) fn is(&self, key: &str) -> ArmResult<bool> {
        self.get(key).map_or(Ok(false), |member| member.flag())
    }

    /// The members of a list; of an absent one, none.
    pub(crate) fn list_of(&self, key: &str) -> ArmResult<Vec<Loose<'a>>> {
        self.get(key).map_or(Ok(Vec::new()), |member| member.list())
    }

    pub(crate) fn list(&self) -> ArmResult<Vec<Loose<'a>>> {
        let list = self.value.as_array().ok_or_else(|| self.wrong("it must be a list"))?;
        let numbered = list.iter().enumerate();
        Ok(numbered
            .map(|(index, value)| Loose {
                value,
                place: format!("{}[{index}]", self.place),
            })
            .collect())
    }

    /// A refusal that names the place.
    pub(crate) fn wrong(&self, why: &str) -> ArmError {
        let place = match self.place.as_str() {
            "" => "The request".to_owned(),
            place => format!("\"{place}\" in the request"),
        };
        ArmError::bad("InvalidRequestContent", format!("{place} is not usable: {why}."))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_read_in_any_case_and_nulls_are_absent() {
        let body = json!({"Properties": {"instantRpDetails": null, "COUNT": 3, "flag": "True", "list": ["a"]}});
        let properties = Loose::new(&body).get("properties").unwrap();
        assert!(properties.get("instantRPDetails").is_none());
        assert_eq!(properties.need("count").unwrap().number(), Ok(3));
        assert_eq!(properties.is("flag"), Ok(true));
        assert_eq!(properties.is("other"), Ok(false));
        assert_eq!(properties.list_of("list").unwrap()[0].text(), Ok("a"));
    }

    #[test]
    fn refusals_name_the_place() {
        let body = json!({"properties": {"list": [{"count": "many"}]}});
        let list = Loose::new(&body).get("properties").unwrap().list_of("list").unwrap();
        let refused = list[0].need("count").unwrap().number().unwrap_err();
        assert!(
            refused.message.contains("\"properties.list[0].count\""),
            "{}",
            refused.message
        );
        assert!(
            list[0]
                .need("other")
                .unwrap_err()
                .message
                .contains("\"other\" is missing")
        );
    }
}
