//! Formats by name.

use crate::{Error, Format, catalog};

impl Format {
    /// The format of this name or alias, in any case.
    ///
    /// # Errors
    /// [`Error::UnknownFormat`] with the nearest name.
    pub fn by_name(name: &str) -> Result<&'static Self, Error> {
        let wanted = name.trim().to_ascii_lowercase();
        let names = || Self::all().iter().flat_map(|f| f.names().map(move |n| (n, f)));
        if let Some((_, format)) = names().find(|(n, _)| *n == wanted) {
            return Ok(format);
        }
        let nearest = names().max_by(|a, b| {
            let near = |n: &str| strsim::jaro_winkler(n, &wanted);
            near(a.0).total_cmp(&near(b.0))
        });
        let nearest = nearest.map_or("fp32", |(n, _)| n);
        Err(Error::UnknownFormat { given: name.to_owned(), nearest })
    }

    /// Every format, in the order of the catalogue.
    pub fn all() -> &'static [Self] {
        catalog::ALL
    }

    /// FP32: what is stored where nothing was quantised.
    pub fn fp32() -> &'static Self {
        &catalog::ALL[0]
    }

    /// The name and the aliases.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }
}
