//! Sections that the program writes itself, on behalf of a key that the user has written.

use toml::de::DeTable;

use super::{Environment, Lowered, Place, Problem, Problems, Section};

impl Section {
    /// Reads `text`, a part of the program in TOML, against this description. Whatever is wrong with it
    /// is told at `place`, the user's key that stands for it. `${NAME}` in it is what `values` say.
    pub fn embedded(
        &'static self,
        text: &str,
        place: &Place,
        values: &Environment<'_>,
        problems: &mut Problems,
    ) -> Lowered {
        match DeTable::parse(text) {
            Ok(table) => self.lower_own(table.get_ref(), place, values, problems),
            // The tests of its owner find that.
            Err(error) => {
                problems.push(Problem::new(place.clone(), error.message().to_owned()));
                self.lower_own(&DeTable::new(), place, values, problems)
            }
        }
    }
}
