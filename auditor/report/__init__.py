"""The report of a run: one content, many formats.

content    ReportContent, built once from a run, its audit and its evidence chain
blocks     what content is made of: facts, tables, charts as marks, notes
stated     what only people can say (intended use, which laws apply), kept in the evidence chain
annex      the frameworks of frameworks.yaml held against what the run knows
render     the formats: html, pdf, md, json, card, bom, bundle
"""
