//! Complex numbers, as far as a characteristic function needs them, over `libm`.

use std::ops::{Add, Div, Mul, Neg, Sub};

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Complex {
    pub re: f64,
    pub im: f64,
}

impl Complex {
    pub const ONE: Self = Self { re: 1.0, im: 0.0 };

    pub fn new(re: f64, im: f64) -> Self {
        Self { re, im }
    }

    pub fn times(self, factor: f64) -> Self {
        Self::new(self.re * factor, self.im * factor)
    }

    pub fn exp(self) -> Self {
        let (sin, cos) = libm::sincos(self.im);
        let size = libm::exp(self.re);
        Self::new(size * cos, size * sin)
    }

    /// Principal branch.
    pub fn ln(self) -> Self {
        let squared = self.re * self.re + self.im * self.im;
        Self::new(0.5 * libm::log(squared), libm::atan2(self.im, self.re))
    }

    /// The root with a real part that is not negative.
    pub fn sqrt(self) -> Self {
        let size = libm::sqrt(self.re * self.re + self.im * self.im);
        let re = libm::sqrt((0.5 * (size + self.re)).max(0.0));
        let im = libm::sqrt((0.5 * (size - self.re)).max(0.0));
        Self::new(re, if self.im < 0.0 { -im } else { im })
    }

    pub fn size(self) -> f64 {
        libm::sqrt(self.re * self.re + self.im * self.im)
    }
}

impl Add for Complex {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self::new(self.re + other.re, self.im + other.im)
    }
}

impl Sub for Complex {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self::new(self.re - other.re, self.im - other.im)
    }
}

impl Mul for Complex {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        Self::new(self.re * other.re - self.im * other.im, self.re * other.im + self.im * other.re)
    }
}

impl Div for Complex {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        let scale = 1.0 / (other.re * other.re + other.im * other.im);
        Self::new(
            (self.re * other.re + self.im * other.im) * scale,
            (self.im * other.re - self.re * other.im) * scale,
        )
    }
}

impl Neg for Complex {
    type Output = Self;
    fn neg(self) -> Self {
        Self::new(-self.re, -self.im)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_logarithms_and_quotients_undo_their_inverses() {
        for (re, im) in [(3.0, 4.0), (-3.0, 0.5), (-1.0, -2.0), (0.2, -7.0)] {
            let z = Complex::new(re, im);
            let root = z.sqrt();
            assert!((root * root - z).size() < 1e-12);
            assert!((z.ln().exp() - z).size() < 1e-12);
            assert!((z / root - root).size() < 1e-12);
            assert!(root.re >= 0.0);
        }
    }
}
