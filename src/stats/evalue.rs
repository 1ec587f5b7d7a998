//! Evidence that may be looked at after every block: a mixture of sign-symmetric test martingales (STATISTICS "Looks").
use super::quartiles;

/// An anytime-valid e-value against "no difference" over within-block log ratios, in the order measured; reject at 20.
pub fn e_value(d: &[f64]) -> f64 {
    const LAMBDAS: [f64; 10] = [-1.2, -0.8, -0.5, -0.3, -0.15, 0.15, 0.3, 0.5, 0.8, 1.2];
    let mut logs = [0.0; LAMBDAS.len()];
    for i in 0..d.len() {
        // σ from magnitudes alone: the sign of d_i stays a fair coin given them.
        let magnitudes: Vec<f64> = d[..=i].iter().map(|x| x.abs()).collect();
        let sigma = 1.4826 * quartiles(&magnitudes).1; // 1.4826 = 1/Φ⁻¹(3/4)
        if sigma <= 0.0 {
            continue;
        }
        let u = (d[i] / sigma).clamp(-3.0, 3.0);
        for (log, lambda) in logs.iter_mut().zip(LAMBDAS) {
            *log += lambda * u - (lambda * u).cosh().ln();
        }
    }
    logs.iter().map(|log| log.exp()).sum::<f64>() / logs.len() as f64
}
