//! A map from host names and wildcards to values. A look-up costs as many probes as the name has
//! labels, independent of the number of hosts.

use std::collections::HashMap;

/// Values by host; the exact name takes precedence, then the longest wildcard above it.
#[derive(Debug)]
pub struct ByHost<T> {
    exact: HashMap<String, T>,
    below: HashMap<String, T>,
}

impl<T> Default for ByHost<T> {
    fn default() -> Self {
        Self {
            exact: HashMap::new(),
            below: HashMap::new(),
        }
    }
}

impl<T> ByHost<T> {
    /// Inserts the value of a lower-cased name and returns the previous one.
    pub fn insert(&mut self, name: String, value: T) -> Option<T> {
        self.exact.insert(name, value)
    }

    /// Inserts the value of all names that end with `suffix`, which begins with its dot, and returns the
    /// previous one.
    pub fn insert_below(&mut self, suffix: String, value: T) -> Option<T> {
        self.below.insert(suffix, value)
    }

    /// Iterates over all values in no order, with their hosts in the notation of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = (String, &T)> {
        let exact = self.exact.iter().map(|(name, value)| (name.clone(), value));
        let below = self.below.iter();
        exact.chain(below.map(|(suffix, value)| (format!("*{suffix}"), value)))
    }

    /// Returns the value of a lower-cased name.
    pub fn get(&self, name: &str) -> Option<&T> {
        self.exact.get(name).or_else(|| self.wildcard(name))
    }

    /// Returns the value of the longest wildcard, which begins at the first dot. A wildcard matches at least one label.
    fn wildcard(&self, name: &str) -> Option<&T> {
        if self.below.is_empty() {
            return None;
        }
        let dots = name.match_indices('.').filter(|(at, _)| *at > 0);
        let mut suffixes = dots.filter_map(|(at, _)| name.get(at..));
        suffixes.find_map(|suffix| self.below.get(suffix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exact_name_goes_before_the_longest_wildcard() {
        let mut hosts = ByHost::default();
        hosts.insert_below(".example.org".to_owned(), 1);
        hosts.insert_below(".deep.example.org".to_owned(), 2);
        hosts.insert("own.example.org".to_owned(), 3);
        let of = |name| hosts.get(name).copied();
        assert_eq!(of("own.example.org"), Some(3));
        assert_eq!(of("a.example.org"), Some(1));
        assert_eq!(of("a.b.example.org"), Some(1));
        assert_eq!(of("a.deep.example.org"), Some(2));
        assert_eq!(of("deep.example.org"), Some(1));
        assert_eq!(of("example.org"), None);
        assert_eq!(of(".example.org"), None);
        assert_eq!(of("badexample.org"), None);
        assert_eq!(of(""), None);
    }

    #[test]
    fn inserting_returns_the_previous_value() {
        let mut hosts = ByHost::default();
        assert_eq!(hosts.insert("a.test".to_owned(), 1), None);
        assert_eq!(hosts.insert("a.test".to_owned(), 2), Some(1));
        assert_eq!(hosts.insert_below(".a.test".to_owned(), 3), None);
        assert_eq!(hosts.insert_below(".a.test".to_owned(), 4), Some(3));
    }
}
