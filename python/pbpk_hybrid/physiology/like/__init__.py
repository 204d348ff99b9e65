"""Populations from what is printed of one: a demographics table, or a list of people.

:mod:`.printed` reads texts such as "34 ± 8 (21-52)", :mod:`.request` tables of them,
:mod:`.candidates` draws people who could be meant, :mod:`.tilt` weights them so that the table is
met and nothing else is assumed, :mod:`.choice` takes n of them, :mod:`.sample` puts this together,
and :mod:`.comparison` sets the achieved table beside the asked one.
"""
