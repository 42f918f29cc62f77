//! What keeps a model from running anywhere but here: our own functions, and words that only some
//! engines know. A model headed `engine: deltadesk` may use them, as may silver.

/// The desk's own functions, where they are called.
const OWN: [&str; 6] =
    ["american", "black76", "bsm", "implied_vol", "implied_vol_american", "implied_vol_black76"];

/// The first place, by its line, of something that other engines do not take, and what to do.
pub(super) fn obstacle(sql: &str) -> Option<(usize, String)> {
    sql.lines().enumerate().find_map(|(at, line)| {
        let code = line.split("--").next().unwrap_or(line);
        Some((at + 1, in_line(code)?))
    })
}

fn in_line(code: &str) -> Option<String> {
    let in_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let mut text = false;
    let mut rest = code;
    while let Some(letter) = rest.chars().next() {
        if letter == '\'' {
            text = !text;
        }
        let length = rest.find(|letter| !in_word(letter)).unwrap_or(rest.len());
        if text || length == 0 {
            if !text && rest.starts_with("::") {
                return Some("`::` is not portable; write cast(.. as ..)".to_owned());
            }
            rest = rest.get(letter.len_utf8()..).unwrap_or_default();
            continue;
        }
        let (word, after) = rest.split_at(length);
        let lower = word.to_ascii_lowercase();
        if OWN.contains(&lower.as_str()) && after.trim_start().starts_with('(') {
            return Some(format!(
                "`{lower}` is a function of this desk; head the model `-- engine: deltadesk`, or \
                 take what silver has computed"
            ));
        }
        if lower == "qualify" {
            return Some("`qualify` is not portable; filter a subquery".to_owned());
        }
        rest = after;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_other_engines_do_not_take_is_found_with_its_line() {
        let found = |sql: &str| obstacle(sql).map(|(line, what)| format!("{line}: {what}"));
        let own = found("select\n    black76 ('C', 1, 1, 1, 0, 0.2) as value").unwrap();
        assert!(own.starts_with("2: `black76` is a function of this desk"), "{own}");
        assert!(found("select 1::bigint").unwrap().contains("cast("));
        assert!(found("select a from t QUALIFY row_number() over () = 1").is_some());
        assert_eq!(found("select implied_vol, 'bsm(' as a, 'b::c' as b -- bsm(1)"), None);
        assert_eq!(found("select 'don''t' as bsm, my_bsm(1) from t"), None);
    }
}
