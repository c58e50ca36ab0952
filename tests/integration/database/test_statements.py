"""SQL text split as Postgres would."""

from __future__ import annotations

import pytest

from console.operations.migrations.statements import code_only, shorten, split


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("", []),
        (" ;; \n;", []),
        ("-- only; a comment", []),
        ("/* only; /* nested; */ ; */ -- comment", []),
        ("SELECT 1; SELECT 2", ["SELECT 1", "SELECT 2"]),
        ("-- why\n  SELECT 1; -- done\n12;", ["SELECT 1", "12"]),
        ("SELECT ';', 'it''s; \\'; SELECT 2", ["SELECT ';', 'it''s; \\'", "SELECT 2"]),
        (r"SELECT E'it\'s; x', e'\\'; SELECT 2", [r"SELECT E'it\'s; x', e'\\'", "SELECT 2"]),
        ('CREATE TABLE "a;""b" (x int); SELECT 2', ['CREATE TABLE "a;""b" (x int)', "SELECT 2"]),
        ("SELECT $$;$$, $a$;$$;$b$;$a$; SELECT 2", ["SELECT $$;$$, $a$;$$;$b$;$a$", "SELECT 2"]),
        ("SELECT a$1; SELECT a$1$b; SELECT $1", ["SELECT a$1", "SELECT a$1$b", "SELECT $1"]),
        (
            "CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; SELECT 2); SELECT 3",
            [
                "CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; SELECT 2)",
                "SELECT 3",
            ],
        ),
        (
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1;"
            " SELECT CASE WHEN true THEN 1 END; END; SELECT 2",
            [
                "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1;"
                " SELECT CASE WHEN true THEN 1 END; END",
                "SELECT 2",
            ],
        ),
        ("BEGIN; SELECT 1; END; SELECT 2", ["BEGIN", "SELECT 1", "END", "SELECT 2"]),
        ("SELECT 1 /* ; never closed", ["SELECT 1 /* ; never closed"]),
    ],
)
def test_a_semicolon_ends_a_statement_only_where_postgres_sees_one(
    sql: str, expected: list[str]
) -> None:
    assert split(sql) == expected


def test_keywords_in_comments_and_strings_are_no_code() -> None:
    sql = """/* CONCURRENTLY */ SELECT 'CONCURRENTLY', "CONCURRENTLY" -- CONCURRENTLY"""
    assert "CONCURRENTLY" not in code_only(sql)
    assert "CONCURRENTLY" in code_only("CREATE INDEX CONCURRENTLY i ON t (id)")


def test_a_long_statement_is_cut_to_one_line() -> None:
    assert shorten("SELECT\n  1") == "SELECT 1"
    assert len(shorten("x" * 1000, 50)) == 50
