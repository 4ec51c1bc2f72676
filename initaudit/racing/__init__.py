"""Races: one network really trained from several initialisations, beside what the audit had predicted of each."""
