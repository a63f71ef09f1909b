//! The order of ids, to check that a user list is sorted by id.

/// The end of the sorted user list at which a cursor starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// From the lowest id upward.
    Lowest,
    /// From the highest id downward.
    Highest,
}

impl End {
    /// Both ends.
    pub const BOTH: [Self; 2] = [Self::Lowest, Self::Highest];
}

/// The number of orders in which Okta may sort ids: byte by byte, with or without case. Okta does not document which.
pub const ORDERS: usize = 2;

/// The position of an id in each of the orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position([u128; ORDERS]);

/// The length of the longest id that fits into a position. Okta's ids have 20 characters.
const LONGEST: usize = 21;

impl Position {
    /// Returns the position of an id; none if it is too long or has a character that no id has.
    pub fn of(id: &str) -> Option<Self> {
        if id.is_empty() || id.len() > LONGEST {
            return None;
        }
        // Each byte becomes a digit from 1 to 64. A short id is padded with 0, which sorts first.
        let digit = |byte: u8| {
            Some(match byte {
                b'-' => 1,
                b'0'..=b'9' => byte - b'0' + 2,
                b'A'..=b'Z' => byte - b'A' + 12,
                b'_' => 38,
                b'a'..=b'z' => byte - b'a' + 39,
                _ => return None,
            })
        };
        let number = |fold: fn(&u8) -> u8| {
            let mut bytes = id.bytes();
            (0..LONGEST).try_fold(0_u128, |number, _| {
                let digit = match bytes.next() {
                    Some(byte) => digit(fold(&byte))?,
                    None => 0,
                };
                Some(number * 65 + u128::from(digit))
            })
        };
        Some(Self([
            number(|byte| *byte)?,
            number(u8::to_ascii_lowercase)?,
        ]))
    }

    /// Returns a number that grows with the position in one of the [`ORDERS`].
    pub fn in_order(self, order: usize) -> u128 {
        self.0[order]
    }

    /// Returns the position as text for the checkpoint.
    pub fn to_text(self) -> String {
        let [bytes, folded] = self.0;
        format!("{bytes:x} {folded:x}")
    }

    /// Parses a position from the checkpoint.
    pub fn of_text(text: &str) -> Option<Self> {
        let (bytes, folded) = text.split_once(' ')?;
        let number = |text| u128::from_str_radix(text, 16).ok();
        Some(Self([number(bytes)?, number(folded)?]))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;

    proptest! {
        #[test]
        fn positions_sort_as_ids_do(a in "[-0-9A-Z_a-z]{1,21}", b in "[-0-9A-Z_a-z]{1,21}") {
            let (x, y) = (Position::of(&a).unwrap(), Position::of(&b).unwrap());
            prop_assert_eq!(x.0[0].cmp(&y.0[0]), a.cmp(&b));
            prop_assert_eq!(x.0[1].cmp(&y.0[1]), a.to_lowercase().cmp(&b.to_lowercase()));
            prop_assert_eq!(Position::of_text(&x.to_text()), Some(x));
        }

        #[test]
        fn no_text_makes_a_position_panic(text in any::<String>()) {
            Position::of(&text);
            Position::of_text(&text);
        }
    }
}
