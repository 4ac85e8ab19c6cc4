//! Long lists in pages: each with the address of the next.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::call::Call;
use super::error::{ArmError, ArmResult};
use super::reply::Reply;

/// Members of a page; a client may ask for fewer.
const PAGE_MAX: usize = 200;

/// A list of resources, each under a key by which they are in order. The key of a page's last member is the token of the
/// next page, so that none is left out or told twice when others come or go between two pages.
pub(crate) fn list(call: &Call, members: Vec<(String, Value)>) -> ArmResult<Reply> {
    let (values, token) = page(members, call.query.skip_token.as_deref(), call.query.top)?;
    let mut body = json!({ "value": values });
    if let Some(token) = token {
        body["nextLink"] = Value::String(call.next_link(&token));
    }
    Ok(Reply::ok(body))
}

/// One page, and the token of the next if there is one.
fn page(
    mut members: Vec<(String, Value)>,
    token: Option<&str>,
    top: Option<usize>,
) -> ArmResult<(Vec<Value>, Option<String>)> {
    members.sort_by(|(a, _), (b, _)| a.cmp(b));
    let begin = match token {
        None => 0,
        Some(token) => {
            let last = decoded(token)
                .ok_or_else(|| ArmError::bad("InvalidSkipToken", "The $skipToken is not one of this service"))?;
            members.partition_point(|(key, _)| *key <= last)
        }
    };
    let size = top.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX);
    let mut rest = members.drain(begin..);
    let page: Vec<(String, Value)> = rest.by_ref().take(size).collect();
    let more = rest.next().is_some();
    let next = page.last().filter(|_| more).map(|(key, _)| URL_SAFE_NO_PAD.encode(key));
    Ok((page.into_iter().map(|(_, value)| value).collect(), next))
}

fn decoded(token: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(count: usize) -> Vec<(String, Value)> {
        (0..count).map(|n| (format!("{n:04}"), json!(n))).collect()
    }

    #[test]
    fn pages_follow_one_another_without_gaps() {
        let mut found = Vec::new();
        let mut token = None;
        loop {
            let (mut values, next) = page(members(450), token.as_deref(), None).unwrap();
            found.append(&mut values);
            match next {
                Some(next) => token = Some(next),
                None => break,
            }
        }
        let expected: Vec<Value> = (0..450).map(|n| json!(n)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_member_that_went_is_no_reason_to_begin_anew() {
        let (_, token) = page(members(5), None, Some(2)).unwrap();
        let mut fewer = members(5);
        fewer.remove(1);
        let (values, token) = page(fewer, token.as_deref(), Some(9)).unwrap();
        assert_eq!((values, token), (vec![json!(2), json!(3), json!(4)], None));
        assert!(page(members(5), Some("%"), None).is_err());
    }
}
