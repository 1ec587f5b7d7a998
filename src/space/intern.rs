//! Numbers keys in the order in which they first come. Made for millions of short keys: no allocation for each, as a map of
//! vectors would need.

#[derive(Debug, Default)]
pub(super) struct Interner {
    words: Vec<u64>,
    /// Where each key ends in `words`.
    ends: Vec<usize>,
    /// Open addressing: 1 + number of a key; 0 is free. A power of two, at most half full.
    table: Vec<u32>,
}

impl Interner {
    /// The key's number, and whether it is new.
    pub(super) fn number(&mut self, key: &[u64]) -> (u32, bool) {
        if self.table.len() < 2 * (self.ends.len() + 1) {
            self.grow();
        }
        let place = self.place(key);
        if let Some(known) = self.table[place].checked_sub(1) {
            return (known, false);
        }
        self.words.extend_from_slice(key);
        self.ends.push(self.words.len());
        let count = self.ends.len() as u32;
        self.table[place] = count;
        (count - 1, true)
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn key(&self, number: usize) -> &[u64] {
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.words[start..self.ends[number]]
    }

    fn place(&self, key: &[u64]) -> usize {
        // FxHash: https://github.com/rust-lang/rustc-hash, version 1; its high bits are the mixed ones.
        let hash = key.iter().fold(key.len() as u64, |hash, word| {
            (hash.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95)
        });
        let mut place = (hash >> (64 - self.table.len().trailing_zeros())) as usize;
        while let Some(known) = self.table[place].checked_sub(1) {
            if self.key(known as usize) == key {
                break;
            }
            place = (place + 1) % self.table.len();
        }
        place
    }

    fn grow(&mut self) {
        let size = (4 * (self.ends.len() + 1)).next_power_of_two();
        self.table = vec![0; size];
        for number in 0..self.ends.len() {
            let place = self.place(self.key(number));
            self.table[place] = number as u32 + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equal_keys_have_equal_numbers(keys in prop::collection::vec(prop::collection::vec(0u64..4, 0..4), 0..200)) {
            let mut interner = Interner::default();
            let mut known: Vec<Vec<u64>> = vec![];
            for key in keys {
                let (number, is_new) = interner.number(&key);
                let before = known.iter().position(|k| *k == key);
                prop_assert_eq!(is_new, before.is_none());
                if is_new {
                    known.push(key.clone());
                }
                prop_assert_eq!(number as usize, before.unwrap_or(known.len() - 1));
                prop_assert_eq!(interner.key(number as usize), &key[..]);
                prop_assert_eq!(interner.len(), known.len());
            }
        }
    }
}
