//! Provenance: the commit that the plan belongs to, and whether what ran was that commit.
#![allow(unsafe_code, reason = "libgit2's owner check is a global option")]
#![allow(
    clippy::disallowed_methods,
    reason = "reads the files that differ from the commit"
)]
use super::Git;
use git2::{Delta, DiffOptions, Repository};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Once;

/// The repository that `folder` is in; absent outside of one, or before its first commit.
///
/// Tracked files count, as in `git describe --dirty`: a build or the measured program itself may leave any number of others.
/// What stands under `results/` and `reports/` (of the repository, or of the current folder) does not: campaigns write there.
pub(super) fn probe(folder: &Path) -> Option<Git> {
    static OWNER_CHECK: Once = Once::new();
    // SAFETY: called once, before any other use of libgit2 by this process. We only read, and a container's mount often
    // belongs to somebody else; with the check, provenance would be missing there.
    OWNER_CHECK.call_once(|| unsafe {
        let _ = git2::opts::set_verify_owner_validation(false);
    });
    let repository = Repository::discover(folder).ok()?;
    let head = repository.head().ok()?;
    let commit = head.peel_to_commit().ok()?;
    let diff_hash = changes(&repository, &commit.tree().ok()?);
    Some(Git {
        commit: commit.id().to_string(),
        branch: head
            .is_branch()
            .then(|| head.shorthand().ok().map(str::to_owned))
            .flatten(),
        is_dirty: diff_hash.is_some(),
        diff_hash,
    })
}

/// SHA-256 over kind, path and present content of every tracked file that differs from the commit; absent if none does.
///
/// Not over the text of a diff: that says of binary files only that they differ.
fn changes(repository: &Repository, tree: &git2::Tree<'_>) -> Option<String> {
    // A bare repository has no files that could differ.
    let root = repository.workdir()?;
    let own = own_folders(root);
    let mut options = DiffOptions::new();
    options.ignore_submodules(true);
    let diff = repository
        .diff_tree_to_workdir_with_index(Some(tree), Some(&mut options))
        .ok()?;
    let mut hash = Sha256::new();
    let mut is_dirty = false;
    for delta in diff.deltas() {
        let path = delta
            .new_file()
            .path()
            .or(delta.old_file().path())
            .unwrap_or(Path::new(""));
        if delta.status() == Delta::Unmodified || own.iter().any(|folder| path.starts_with(folder))
        {
            continue;
        }
        is_dirty = true;
        hash.update(format!(
            "{:?} {:?} {}\n",
            delta.status(),
            delta.new_file().mode(),
            path.display()
        ));
        let file = root.join(path);
        // What is deleted or cannot be read has no content.
        if let Ok(target) = std::fs::read_link(&file) {
            hash.update(target.as_os_str().as_encoded_bytes());
        } else if let Ok(mut content) = File::open(&file) {
            let _ = io::copy(&mut content, &mut Hashing(&mut hash));
        }
    }
    is_dirty.then(|| hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
}

/// Relative to the repository's root.
fn own_folders(root: &Path) -> Vec<PathBuf> {
    let mut folders = vec![PathBuf::from("results"), PathBuf::from("reports")];
    let root = root.canonicalize();
    let here = std::env::current_dir().and_then(|here| here.canonicalize());
    if let (Ok(root), Ok(here)) = (root, here)
        && let Ok(relative) = here.strip_prefix(root)
    {
        folders.extend([relative.join("results"), relative.join("reports")]);
    }
    folders
}

struct Hashing<'a>(&'a mut Sha256);

impl io::Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use git2::{IndexAddOption, Signature};

    fn commit_all(repository: &Repository) -> String {
        let mut index = repository.index().unwrap();
        index.add_all(["*"], IndexAddOption::DEFAULT, None).unwrap();
        index.write().unwrap();
        let tree = repository.find_tree(index.write_tree().unwrap()).unwrap();
        let who = Signature::now("somebody", "somebody@example.org").unwrap();
        repository
            .commit(Some("HEAD"), &who, &who, "all", &tree, &[])
            .unwrap()
            .to_string()
    }

    /// A repository with one commit of a source file, a binary one, and a report.
    fn repository() -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::init(folder.path()).unwrap();
        std::fs::create_dir_all(folder.path().join("experiments")).unwrap();
        std::fs::create_dir_all(folder.path().join("reports/t")).unwrap();
        std::fs::write(folder.path().join("kernel.rs"), "fn main() {}").unwrap();
        std::fs::write(folder.path().join("data.bin"), [0_u8, 1, 2]).unwrap();
        std::fs::write(folder.path().join("experiments/t.yaml"), "name: t").unwrap();
        std::fs::write(folder.path().join("reports/t/results_summary.md"), "old").unwrap();
        let commit = commit_all(&repository);
        (folder, commit)
    }

    #[test]
    fn a_plan_in_a_subfolder_belongs_to_the_commit() {
        let (folder, commit) = repository();
        let git = probe(&folder.path().join("experiments")).unwrap();
        assert_eq!(
            (git.commit, git.is_dirty, git.diff_hash),
            (commit, false, None)
        );
        assert!(git.branch.is_some());
    }

    #[test]
    fn a_detached_head_has_no_branch() {
        let (folder, commit) = repository();
        let repository = Repository::open(folder.path()).unwrap();
        repository
            .set_head_detached(git2::Oid::from_str(&commit).unwrap())
            .unwrap();
        assert_eq!(probe(folder.path()).unwrap().branch, None);
    }

    #[test]
    fn every_content_of_a_changed_file_has_its_own_hash() {
        let (folder, _) = repository();
        let with = |content: &[u8]| {
            std::fs::write(folder.path().join("data.bin"), content).unwrap();
            probe(folder.path()).unwrap()
        };
        let (one, two) = (with(&[0, 9, 9]), with(&[0, 9, 8]));
        assert!(one.is_dirty && two.is_dirty);
        assert_ne!(one.diff_hash, two.diff_hash);
        assert_eq!(with(&[0, 9, 9]).diff_hash, one.diff_hash);
        assert_eq!(with(&[0, 1, 2]).diff_hash, None, "as committed");
        std::fs::remove_file(folder.path().join("kernel.rs")).unwrap();
        assert!(
            probe(folder.path()).unwrap().is_dirty,
            "a deleted file is a change"
        );
    }

    #[test]
    fn a_staged_file_is_a_change() {
        let (folder, _) = repository();
        std::fs::write(folder.path().join("new.rs"), "").unwrap();
        assert!(!probe(folder.path()).unwrap().is_dirty, "untracked");
        let repository = Repository::open(folder.path()).unwrap();
        let mut index = repository.index().unwrap();
        index.add_path(Path::new("new.rs")).unwrap();
        index.write().unwrap();
        assert!(probe(folder.path()).unwrap().is_dirty);
    }

    #[test]
    fn what_a_campaign_writes_does_not_make_it_dirty() {
        let (folder, _) = repository();
        std::fs::write(folder.path().join("reports/t/results_summary.md"), "new").unwrap();
        std::fs::create_dir_all(folder.path().join("results/t")).unwrap();
        std::fs::write(folder.path().join("results/t/.lock"), "{}").unwrap();
        assert!(!probe(folder.path()).unwrap().is_dirty);
    }

    #[test]
    fn without_a_commit_or_a_repository_there_is_no_provenance() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(probe(folder.path()), None);
        Repository::init(folder.path()).unwrap();
        assert_eq!(probe(folder.path()), None);
        assert_eq!(probe(Path::new("/no/such/folder")), None);
    }

    #[test]
    fn a_bare_repository_is_never_dirty() {
        let (folder, commit) = repository();
        let bare = tempfile::tempdir().unwrap();
        git2::build::RepoBuilder::new()
            .bare(true)
            .clone(folder.path().to_str().unwrap(), bare.path())
            .unwrap();
        let git = probe(bare.path()).unwrap();
        assert_eq!((git.commit, git.is_dirty), (commit, false));
    }
}
