//! A table of rows.

use foldhash::fast::FixedState;
use indexmap::IndexMap;

/// A table of which there may be very many rows: one is found in one step, and
/// when it grows no row is hashed again. Its order means nothing, but is the same
/// for the same history.
pub type Table<K, V> = IndexMap<K, V, FixedState>;

/// The ids in a table, the oldest first.
pub fn ids_of<K: Copy + Ord, V>(table: &Table<K, V>) -> Vec<K> {
    let mut ids: Vec<K> = table.keys().copied().collect();
    ids.sort_unstable();
    ids
}
