//! The nearest names to one that does not exist.

/// Names within a third of the asked name's length (at least two edits), nearest first, at most three.
pub(crate) fn nearest<'a>(asked: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let asked = asked.to_lowercase();
    let limit = (asked.chars().count() / 3).max(2);
    let mut ranked: Vec<(usize, &str)> =
        names.map(|name| (rank(&asked, name), name)).filter(|(distance, _)| *distance <= limit).collect();
    ranked.sort_unstable();
    ranked.into_iter().take(3).map(|(_, name)| name).collect()
}

/// The edit distance, except that a name which starts with the asked one, or the reverse, is one edit away.
fn rank(asked: &str, name: &str) -> usize {
    let related = asked.len() >= 3 && (name.starts_with(asked) || asked.starts_with(name));
    let distance = edits(asked, name);
    if related { distance.min(1) } else { distance }
}

/// Insertions, deletions, substitutions and swaps of neighbours.
fn edits(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().take(64).collect();
    let right: Vec<char> = right.chars().collect();
    let mut rows = vec![(0..=right.len()).collect::<Vec<_>>()];
    for (i, a) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            let substituted = rows[i][j] + usize::from(a != b);
            let mut best = substituted.min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == right[j - 1] && left[i - 1] == *b {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_find_the_name() {
        let names = || ["anthropic", "github", "gitlab", "openai", "stripe"].into_iter();
        for (asked, expected) in [
            ("opnai", "openai"),
            ("OpenAI", "openai"),
            ("gihtub", "github"),
            ("open", "openai"),
            ("openai-api", "openai"),
        ] {
            assert_eq!(nearest(asked, names()).first(), Some(&expected), "{asked}");
        }
        assert!(nearest("zzzzzzzz", names()).is_empty());
        assert_eq!(nearest("gitxub", names())[0], "github");
    }
}
