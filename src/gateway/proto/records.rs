//! How many fields a protobuf body has, before anything is set aside for them: an empty message in
//! a list costs two bytes on the wire and a hundred times that in memory.

/// How deep messages lie in messages: a leg in a contract in a request.
const DEPTH: usize = 3;

/// Whether a body has no more fields than so many, with those of whatever in it may be a message. A
/// text that looks like one counts too: so many fields no text that means anything has.
pub fn are_at_most(body: &[u8], max: usize) -> bool {
    let mut left = max;
    count(body, DEPTH, &mut left).is_some()
}

/// Takes a body's fields off those that are left; `None` where they do not suffice. What is no
/// protobuf ends the count: its decoder will say so.
fn count(mut body: &[u8], depth: usize, left: &mut usize) -> Option<()> {
    while !body.is_empty() {
        let Some((key, rest)) = varint(body) else { return Some(()) };
        *left = left.checked_sub(1)?;
        body = match key & 7 {
            0 => match varint(rest) {
                Some((_, rest)) => rest,
                None => return Some(()),
            },
            1 => rest.get(8..).unwrap_or_default(),
            5 => rest.get(4..).unwrap_or_default(),
            2 => {
                let Some((length, rest)) = varint(rest) else { return Some(()) };
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                let Some((inner, rest)) = rest.split_at_checked(length) else { return Some(()) };
                if depth > 1 {
                    count(inner, depth - 1, left)?;
                }
                rest
            }
            _ => return Some(()),
        };
    }
    Some(())
}

/// A number of seven bits a byte, and what follows it.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (place, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f).checked_shl(7 * place as u32)?;
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(place + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_are_counted_wherever_they_lie() {
        // Two numbers, and a message of one number.
        let body = [0x08, 3, 0x10, 0x80, 1, 0x1a, 2, 0x08, 5];
        assert!(are_at_most(&body, 4));
        assert!(!are_at_most(&body, 3));
        assert!(are_at_most(&[], 0));
        // Legs of nothing in a contract in an order.
        let legs = [0xa2, 1, 0].repeat(100);
        let contract = [&[0x12, 0xac, 2][..], &legs].concat();
        assert!(!are_at_most(&contract, 100) && are_at_most(&contract, 101));
    }

    proptest! {
        #[test]
        fn any_bytes_are_counted(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(are_at_most(&bytes, 3 * 300));
        }
    }
}
