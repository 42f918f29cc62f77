//! Two messages of one kind held against each other, without knowing what they mean.

use std::collections::BTreeMap;

use super::handshake::PROTO_OLDEST;

/// What message ids are raised by where their body is protobuf.
const RAISED_BY: u32 = 200;

/// The kind of a message by its number, `message 3`; what has none is its own kind.
pub fn kind_of(version: u32, body: &[u8]) -> String {
    if version >= PROTO_OLDEST {
        if let Some((number, _)) = body.split_first_chunk::<4>() {
            let number = u32::from_be_bytes(*number);
            if number > 0 && number < 10_000 {
                return format!("message {}", number.checked_sub(RAISED_BY).unwrap_or(number));
            }
        }
    } else if let Some(number) = fields_of(body).next()
        && !number.is_empty()
        && number.iter().all(u8::is_ascii_digit)
    {
        return format!("message {}", String::from_utf8_lossy(number));
    }
    format!("`{}`", String::from_utf8_lossy(body.get(..40).unwrap_or(body)))
}

/// Which fields differ, `fields 1, 4`; `None` where the messages are the same.
pub fn difference(version: u32, one: &[u8], other: &[u8]) -> Option<String> {
    if one == other {
        return None;
    }
    let parsed = if version >= PROTO_OLDEST {
        let body = |whole: &[u8]| proto_fields(whole.get(4..).unwrap_or_default());
        body(one).zip(body(other))
    } else {
        let lines = |body: &[u8]| (1..).zip(fields_of(body).map(<[u8]>::to_vec)).collect();
        Some((lines(one), lines(other)))
    };
    let Some((one, other)) = parsed else { return Some("bytes".to_owned()) };
    let names = one.keys().chain(other.keys()).copied().collect::<std::collections::BTreeSet<_>>();
    let differ: Vec<String> = names
        .into_iter()
        .filter(|name| one.get(name) != other.get(name))
        .map(|name| name.to_string())
        .collect();
    Some(if differ.is_empty() {
        "bytes".to_owned()
    } else {
        format!("fields {}", differ.join(", "))
    })
}

fn fields_of(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    body.split(|byte| *byte == 0)
}

/// The outermost fields of a protobuf message by number, each as its bytes; `None` where it is no
/// such message.
fn proto_fields(mut body: &[u8]) -> Option<BTreeMap<u64, Vec<u8>>> {
    let mut fields: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    while !body.is_empty() {
        let key = varint(&mut body)?;
        let length = match key & 7 {
            0 => {
                let value = varint(&mut body)?;
                fields.entry(key >> 3).or_default().extend(value.to_be_bytes());
                continue;
            }
            1 => 8,
            2 => usize::try_from(varint(&mut body)?).ok()?,
            5 => 4,
            _ => return None,
        };
        let value = body.get(..length)?;
        body = body.get(length..)?;
        fields.entry(key >> 3).or_default().extend(value);
    }
    Some(fields)
}

fn varint(body: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = body.split_first()?;
        *body = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn messages_are_of_a_kind_by_their_number() {
        assert_eq!(kind_of(226, &[0, 0, 1, 0x0f, 8, 100]), "message 71");
        assert_eq!(kind_of(178, b"71\x002\x007\x00\x00"), "message 71");
        assert_eq!(kind_of(0, b"v213..226"), "`v213..226`");
    }

    #[test]
    fn differing_fields_are_named() {
        let message = |client: u8| [0, 0, 1, 0x0f, 8, client, 0x12, 1, b'x'];
        assert_eq!(difference(226, &message(1), &message(1)), None);
        assert_eq!(difference(226, &message(1), &message(2)), Some("fields 1".to_owned()));
        assert_eq!(difference(226, &message(1)[..6], &message(1)), Some("fields 2".to_owned()));
        assert_eq!(difference(178, b"3\x007\x00a\x00", b"3\x008\x00b\x00").unwrap(), "fields 2, 3");
    }

    proptest! {
        #[test]
        fn any_two_bodies_can_be_compared(
            one in prop::collection::vec(any::<u8>(), 0..40),
            other in prop::collection::vec(any::<u8>(), 0..40),
            version in prop_oneof![Just(0_u32), Just(178), Just(226)],
        ) {
            prop_assert_eq!(difference(version, &one, &other).is_none(), one == other);
            prop_assert_eq!(kind_of(version, &one), kind_of(version, &one.clone()));
        }
    }
}
