"""A fleet for tests and for the demonstration: workspaces, web servers, boxes, root file systems.

Everything here drives the programs that people use, by the command lines that people type; nothing
looks into their memory. Standard library only.
"""
from fleet.box import Box, make_image
from fleet.crier import Crier
from fleet.nginx import Nginx, free_port
from fleet.process import CommandFailed, Programs, flip, run, wait_until
from fleet.workspace import Workspace

__all__ = ["Box", "CommandFailed", "Crier", "Nginx", "Programs", "Workspace", "flip", "free_port",
           "make_image", "run", "wait_until"]
