//! The index of a checkpoint in shards: `model.safetensors.index.json`.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::Error;

/// The tensors that the index `text`, found at `path`, promises of each shard.
///
/// # Errors
/// The text is not an index, or an entry is not the name of a file beside it.
pub fn shards(path: &Path, text: &[u8]) -> Result<BTreeMap<String, Vec<String>>, Error> {
    let malformed = |problem: String| Error::Malformed { path: path.to_owned(), problem };
    let index: Value = serde_json::from_slice(text).map_err(|e| malformed(format!("this is not JSON: {e}")))?;
    let map = index.get("weight_map").and_then(Value::as_object);
    let map = map.ok_or_else(|| malformed("there is no `weight_map` object that names each tensor's file".into()))?;
    let mut shards: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (tensor, file) in map {
        let file = file.as_str().filter(|name| is_plain_file_name(name));
        let file = file.ok_or_else(|| {
            malformed(format!(
                "the entry of `{tensor}` is not the name of a file in this folder; put the shards beside the index"
            ))
        })?;
        shards.entry(file.to_owned()).or_default().push(tensor.clone());
    }
    Ok(shards)
}

/// Whether `name` stays in its folder.
pub fn is_plain_file_name(name: &str) -> bool {
    Path::new(name).file_name().is_some_and(|file| file == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_cannot_leave_its_folder() {
        assert!(is_plain_file_name("model-00001-of-00002.safetensors"));
        for bad in ["../x", "/etc/x", "a/b", "..", ""] {
            assert!(!is_plain_file_name(bad), "{bad}");
        }
    }
}
