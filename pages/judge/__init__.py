"""Judge: is the student good enough, and what did it inherit?"""
