//! `application/x-www-form-urlencoded`, as queries and forms have it.

use percent_encoding::percent_decode;
use zeroize::Zeroizing;

/// The pairs in their order; `None` where a text is no UTF-8. What is decoded is wiped when it is dropped.
pub(super) fn pairs(encoded: &[u8]) -> Option<Vec<(String, Zeroizing<String>)>> {
    let items = encoded.split(|byte| *byte == b'&').filter(|item| !item.is_empty());
    items.map(pair).collect()
}

fn pair(item: &[u8]) -> Option<(String, Zeroizing<String>)> {
    let at = item.iter().position(|byte| *byte == b'=');
    let (name, value) = at.map_or((item, &b""[..]), |at| (&item[..at], &item[at + 1..]));
    Some((decoded(name)?.to_string(), decoded(value)?))
}

fn decoded(text: &[u8]) -> Option<Zeroizing<String>> {
    let spaced: Zeroizing<Vec<u8>> =
        Zeroizing::new(text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect());
    let mut bytes = Zeroizing::new(Vec::with_capacity(spaced.len()));
    bytes.extend(percent_decode(&spaced));
    std::str::from_utf8(&bytes).ok().map(|text| Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::pairs;

    fn texts(encoded: &str) -> Option<Vec<(String, String)>> {
        let pairs = pairs(encoded.as_bytes())?;
        Some(pairs.into_iter().map(|(name, value)| (name, value.to_string())).collect())
    }

    #[test]
    fn pairs_are_decoded_in_their_order() {
        let expected = [("a", "1 2"), ("b", "é&="), ("c", ""), ("a", "x")].map(|(n, v)| (n.into(), v.into()));
        assert_eq!(texts("a=1+2&&b=%C3%A9%26%3D&c&a=x"), Some(expected.to_vec()));
        assert_eq!(texts("a=b=c"), Some(vec![("a".into(), "b=c".into())]));
        assert_eq!(texts(""), Some(vec![]));
        assert_eq!(texts("a=%ff"), None);
    }
}
