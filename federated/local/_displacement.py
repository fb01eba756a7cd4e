"""How far a local solver moves under a constant gradient, in units of -η.

FedNova (Wang et al. 2020, arXiv:2007.07481, section 4) writes a hospital's update as
u_i = -η Σ_j a_ij g_j and divides it by ‖a_i‖₁. The solver is linear in the gradients, so ‖a_i‖₁
is its displacement when every g_j is 1: τ for SGD, [τ - ρ(1 - ρ^τ)/(1 - ρ)]/(1 - ρ) with momentum
ρ, (1 - (1 - ημ)^τ)/(ημ) with a proximal term.
"""


def displacement(
    steps: int, lr: float, momentum: float = 0.0, nesterov: bool = False, proximal: float = 0.0
) -> float:
    """‖a_i‖₁ of `steps` steps; proximal: μ of the term μ/2 ‖θ - w‖²."""
    if momentum == 0 and proximal == 0:
        return float(steps)
    moved = velocity = 0.0
    for _ in range(steps):
        gradient = 1.0 - proximal * lr * moved
        velocity = momentum * velocity + gradient
        moved += gradient + momentum * velocity if nesterov else velocity
    return moved
