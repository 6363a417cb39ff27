"""DIAT and DIAT-A (Li, Zuo and Zhang): one attribute of a photograph changes, the person stays."""
