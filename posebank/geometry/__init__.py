"""Rotations, kinematics, orthographic cameras, Procrustes alignment."""
