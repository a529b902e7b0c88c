//! Folders of labelled images.

use std::path::{Path, PathBuf};

use crate::Error;

/// A file and its class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labelled {
    /// The image file.
    pub path: PathBuf,
    /// The class.
    pub label: usize,
}

/// The images of a folder with their classes, in the order of their paths.
///
/// Either the folder has a sub-folder a class (numbered by their names where all are numbers, else in the order of their names),
/// or files `NAME_LABEL.png` or `.jpg` whose label is a number.
///
/// # Errors
/// The folder cannot be read, has no image, or a file's name has no label.
pub fn labelled(folder: &Path) -> Result<Vec<Labelled>, Error> {
    let malformed = |problem: String| Error::Malformed { path: folder.to_owned(), problem };
    let entries = entries(folder)?;
    let classes: Vec<&PathBuf> = entries.iter().filter(|path| path.is_dir()).collect();
    let mut found = Vec::new();
    if classes.is_empty() {
        for path in entries.iter().filter(|path| is_image(path)) {
            let label = path.file_stem().and_then(|stem| stem.to_str()?.rsplit_once('_')?.1.parse().ok());
            let label = label.ok_or_else(|| {
                malformed(format!("`{}` is not named NAME_LABEL with a number as label", path.display()))
            })?;
            found.push(Labelled { path: path.clone(), label });
        }
    } else {
        let number = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()?.parse::<usize>().ok());
        let numbers: Option<Vec<usize>> = classes.iter().map(|path| number(path)).collect();
        let labels = numbers.unwrap_or_else(|| (0..classes.len()).collect());
        for (class, label) in classes.iter().zip(labels) {
            let images = self::entries(class)?.into_iter().filter(|path| is_image(path));
            found.extend(images.map(|path| Labelled { path, label }));
        }
    }
    if found.is_empty() {
        return Err(malformed("there is no .png, .jpg or .jpeg file in it or in its sub-folders".into()));
    }
    Ok(found)
}

/// What is in a folder, in the order of names.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let io = |source| Error::Io { path: folder.to_owned(), source };
    let entries = std::fs::read_dir(folder).map_err(io)?.map(|entry| entry.map(|entry| entry.path()));
    let mut entries = entries.collect::<Result<Vec<_>, _>>().map_err(io)?;
    entries.sort();
    Ok(entries)
}

fn is_image(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    path.is_file() && extension.is_some_and(|e| ["png", "jpg", "jpeg"].contains(&e.to_ascii_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(files: &[&str]) -> Result<Vec<usize>, Error> {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        Ok(labelled(folder.path())?.into_iter().map(|image| image.label).collect())
    }

    #[test]
    fn labels_are_in_names_of_files_or_folders() {
        assert_eq!(labels(&["a_00_7.png", "b_01_243.JPG", "notes.txt"]).unwrap(), [7, 243]);
        assert_eq!(labels(&["dog/1.png", "cat/1.png", "cat/2.jpeg"]).unwrap(), [0, 0, 1]);
        assert_eq!(labels(&["3/1.png", "10/1.png"]).unwrap(), [10, 3]);
    }

    #[test]
    fn a_folder_without_labels_is_refused() {
        assert!(labels(&["a.png"]).unwrap_err().to_string().contains("NAME_LABEL"));
        assert!(labels(&["a.txt"]).unwrap_err().to_string().contains(".png"));
        assert!(labelled(Path::new("nowhere")).is_err());
    }
}
