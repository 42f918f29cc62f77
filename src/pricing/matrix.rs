//! Small dense matrices: the inverse by Gauss-Jordan elimination with pivoting, and its use.

/// Inverse of a matrix given by rows; `None` if it is singular or not finite.
pub(super) fn inverse<const N: usize>(mut left: [[f64; N]; N]) -> Option<[[f64; N]; N]> {
    let mut right = [[0.0; N]; N];
    for (i, row) in right.iter_mut().enumerate() {
        *row.get_mut(i)? = 1.0;
    }
    for column in 0..N {
        let size = |row: &[f64; N]| row.get(column).map_or(0.0, |x| x.abs());
        let (pivot, _) = left
            .iter()
            .enumerate()
            .skip(column)
            .max_by(|(_, a), (_, b)| size(a).total_cmp(&size(b)))?;
        left.swap(column, pivot);
        right.swap(column, pivot);
        let scale = 1.0 / left.get(column)?.get(column)?;
        if !scale.is_finite() {
            return None;
        }
        let pivot_left = left.get(column)?.map(|x| x * scale);
        let pivot_right = right.get(column)?.map(|x| x * scale);
        for (i, (l, r)) in left.iter_mut().zip(right.iter_mut()).enumerate() {
            if i == column {
                (*l, *r) = (pivot_left, pivot_right);
                continue;
            }
            let factor = *l.get(column)?;
            l.iter_mut().zip(&pivot_left).for_each(|(x, p)| *x -= factor * p);
            r.iter_mut().zip(&pivot_right).for_each(|(x, p)| *x -= factor * p);
        }
    }
    Some(right)
}

/// Matrix times vector.
pub(super) fn apply<const N: usize>(matrix: &[[f64; N]; N], vector: &[f64; N]) -> [f64; N] {
    matrix.map(|row| row.iter().zip(vector).map(|(a, x)| a * x).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_times_its_inverse_is_one() {
        let rows = [[0.0, 2.0, 1.0], [1.0, -1.0, 0.5], [3.0, 0.0, 2.0]];
        let inverted = inverse(rows).expect("regular");
        for (i, column) in (0..3).map(|i| (i, inverted.map(|row| row[i]))) {
            for (j, x) in apply(&rows, &column).iter().enumerate() {
                let want = f64::from(u8::from(i == j));
                assert!((x - want).abs() < 1e-15, "{i} {j}: {x}");
            }
        }
    }

    #[test]
    fn singular_and_nan_have_no_inverse() {
        assert_eq!(inverse([[1.0, 2.0], [2.0, 4.0]]), None);
        assert_eq!(inverse([[f64::NAN, 0.0], [0.0, 1.0]]), None);
    }
}
