//! A table of rows.

use foldhash::fast::FixedState;
use indexmap::IndexMap;

/// A table that may have very many rows: a row is found in constant time, and no key
/// is hashed again when the table grows. The rows stand in the order in which they
/// were inserted until one is removed by `swap_remove`; from then on their order means
/// nothing, but is the same for the same history.
pub type Table<K, V> = IndexMap<K, V, FixedState>;

/// The ids in a table, sorted: the oldest first.
pub fn ids_of<K: Copy + Ord, V>(table: &Table<K, V>) -> Vec<K> {
    let mut ids: Vec<K> = table.keys().copied().collect();
    ids.sort_unstable();
    ids
}
