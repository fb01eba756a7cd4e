"""How far a local solver moves under a constant gradient, in units of -η.

FedNova (Wang et al. 2020, arXiv:2007.07481, section 4) writes a hospital's update as u_i = -η Σ_j
a_ij g_j, a_ij ≥ 0, and divides it by ‖a_i‖₁. The solver is linear in the gradients, so ‖a_i‖₁ is
its displacement when every g_j is 1: τ for SGD, [τ - ρ(1 - ρ^τ)/(1 - ρ)]/(1 - ρ) with momentum ρ,
(1 - (1 - ημ)^τ)/(ημ) with a proximal term. With both at once the paper has no formula, and a_ij
may fall below 0, since momentum overshoots the pull back to w. The displacement Σ_j a_ij stays
what makes hospitals' steps alike, and so the fixed point right; the sum of magnitudes does not.
"""


def displacement(
    steps: int, lr: float, momentum: float = 0.0, nesterov: bool = False, proximal: float = 0.0
) -> float:
    """Σ_j a_ij of `steps` steps; proximal: μ of the term μ/2 ‖θ - w‖²."""
    if momentum == 0 and proximal == 0:
        return float(steps)
    moved = velocity = 0.0
    for _ in range(steps):
        gradient = 1.0 - proximal * lr * moved
        velocity = momentum * velocity + gradient
        moved += gradient + momentum * velocity if nesterov else velocity
    return moved
