"""Whole-body models of small molecules: partition, clearance, absorption, barriers,
transport, interactions.
"""
