//! A set of ids, in order.
//!
//! Ids count up, so a new one goes to the end, and the one that is removed is
//! mostly the oldest. Such a set takes one allocation, and none before its first id;
//! sets of open requests are small and change with every request. Where many rows
//! come and go in any order (sessions), a tree is better.

use std::collections::{VecDeque, vec_deque};

/// Ids in ascending order, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ids<T>(VecDeque<T>);

impl<T: Copy + Ord> Ids<T> {
    /// Inserts an id, if it is not in the set.
    pub fn insert(&mut self, id: T) {
        match self.0.back() {
            Some(last) if *last == id => {}
            Some(last) if *last > id => {
                if let Err(place) = self.0.binary_search(&id) {
                    self.0.insert(place, id);
                }
            }
            _ => self.0.push_back(id),
        }
    }

    /// Removes an id; returns whether it was in the set.
    pub fn remove(&mut self, id: &T) -> bool {
        if self.0.front() == Some(id) {
            return self.0.pop_front().is_some();
        }
        self.0.binary_search(id).is_ok_and(|place| self.0.remove(place).is_some())
    }

    /// Removes and returns the lowest id, which is the oldest.
    pub fn pop_first(&mut self) -> Option<T> {
        self.0.pop_front()
    }

    /// Whether an id is in the set.
    pub fn contains(&self, id: &T) -> bool {
        self.0.binary_search(id).is_ok()
    }

    /// The number of ids.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the set has no id.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All ids, the oldest first.
    pub fn iter(&self) -> vec_deque::Iter<'_, T> {
        self.0.iter()
    }
}

impl<T> Default for Ids<T> {
    fn default() -> Self {
        Ids(VecDeque::new())
    }
}

impl<T: Copy + Ord> Extend<T> for Ids<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, ids: I) {
        ids.into_iter().for_each(|id| self.insert(id));
    }
}

impl<T: Copy + Ord> FromIterator<T> for Ids<T> {
    fn from_iter<I: IntoIterator<Item = T>>(ids: I) -> Self {
        let mut set = Ids::default();
        set.extend(ids);
        set
    }
}

impl<T> IntoIterator for Ids<T> {
    type Item = T;
    type IntoIter = vec_deque::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a Ids<T> {
    type Item = &'a T;
    type IntoIter = vec_deque::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(ids: &Ids<u32>) -> Vec<u32> {
        ids.iter().copied().collect()
    }

    #[test]
    fn ids_are_in_ascending_order_however_they_came_and_each_once() {
        let ids: Ids<u32> = [4, 9, 2, 9, 4, 7, 2].into_iter().collect();
        assert_eq!(all(&ids), [2, 4, 7, 9]);
        assert_eq!(ids.len(), 4);
        assert!(ids.contains(&7) && !ids.contains(&3));
    }

    #[test]
    fn an_id_is_taken_out_from_any_place_and_once() {
        let mut ids: Ids<u32> = (1..=5).collect();
        for id in [1, 3, 5] {
            assert!(ids.remove(&id));
            assert!(!ids.remove(&id));
        }
        assert_eq!(all(&ids), [2, 4]);
    }

    #[test]
    fn the_oldest_goes_first() {
        let mut ids: Ids<u32> = [8, 6].into_iter().collect();
        assert_eq!((ids.pop_first(), ids.pop_first(), ids.pop_first()), (Some(6), Some(8), None));
        assert!(ids.is_empty());
    }
}
