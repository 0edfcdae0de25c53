//! The rows that lead, by their user's id or address: looked at once for each user on the portal's pages.

/// What a row is found by: a user's id, or the digest of an address.
type Key = [u8; 16];

/// Rows in the order of their keys. The first bytes of each key lie here, so that a search seldom goes to the roster:
/// in a large one every look at a row waits for memory.
#[derive(Debug, Default)]
pub struct Leaders(Vec<(u32, u32)>);

fn head([a, b, c, d, ..]: Key) -> u32 {
    u32::from_be_bytes([a, b, c, d])
}

impl Leaders {
    /// Puts rows in order. Rows without a key are left out.
    pub fn of(rows: impl Iterator<Item = u32>, key: impl Fn(u32) -> Option<Key>) -> Self {
        let mut sorted: Vec<_> = rows.filter_map(|row| Some((head(key(row)?), row))).collect();
        sorted.sort_unstable_by(|(one, a), (other, b)| one.cmp(other).then_with(|| key(*a).cmp(&key(*b))));
        Self(sorted)
    }

    /// The row with this key.
    pub fn find(&self, wanted: Key, key: impl Fn(u32) -> Option<Key>) -> Option<u32> {
        let place = self
            .0
            .binary_search_by(|(first, row)| first.cmp(&head(wanted)).then_with(|| key(*row).cmp(&Some(wanted))))
            .ok()?;
        self.0.get(place).map(|(_, row)| *row)
    }

    /// Whether nobody leads.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The row at this place of the order.
    pub fn get(&self, place: usize) -> Option<u32> {
        self.0.get(place).map(|(_, row)| *row)
    }

    /// The rows, in the order of their keys.
    pub fn rows(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().map(|(_, row)| *row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_by_its_key_also_where_many_begin_alike() {
        let alike = |last: u8| [7, 7, 7, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
        let keys: Vec<Option<Key>> =
            vec![Some(alike(3)), None, Some([9; 16]), Some(alike(1)), Some([1; 16]), Some(alike(2))];
        let key = |row: u32| keys[row as usize];
        let leaders = Leaders::of(0..6, key);
        assert_eq!(leaders.rows().collect::<Vec<_>>(), [4, 3, 5, 0, 2]);
        for (row, wanted) in (0..).zip(&keys) {
            if let Some(wanted) = wanted {
                assert_eq!(leaders.find(*wanted, key), Some(row));
            }
        }
        for absent in [alike(0), alike(4), [0; 16], [8; 16], [255; 16]] {
            assert_eq!(leaders.find(absent, key), None);
        }
    }
}
