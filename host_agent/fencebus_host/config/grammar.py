"""Turns the text of a configuration file into a tree, and reports every mistake of syntax in one go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from lark import Lark, Token, Tree, UnexpectedToken
from lark.parsers.lalr_interactive_parser import InteractiveParser

from fencebus_host.config.problems import Problems, Where
from fencebus_host.config.repair import CLOSE, END, EQUAL, NAME, OPEN, SEMICOLON, VALUE, Context, Lexeme, repair
from fencebus_host.config.tree import Item

MAX_DEPTH = 16
"""Sections within sections; the deepest that means anything is 2."""
MAX_MISTAKES = 50
"""Mistakes of syntax after which reading ends: more would not help anybody."""


def parse(text: str, file: str, problems: Problems) -> tuple[Item, ...]:
    """The items of ``text`` in their order; mistakes in it go to ``problems`` as of ``file``, and are stepped over."""
    return _Reader(text, file, problems).read()


@cache
def _lark() -> Lark:
    grammar = Path(__file__).with_name("grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", lexer="basic", maybe_placeholders=True)


class _GiveUpError(Exception):
    """Reading on makes no sense; the reason is reported."""


class _Reader:
    """Feeds one file's tokens to the LALR parser; wherever the parser balks, does what ``repair`` says."""

    def __init__(self, text: str, file: str, problems: Problems) -> None:
        self._text = text
        self._file = file
        self._problems = problems
        self._parser: InteractiveParser = _lark().parse_interactive()
        self._tokens = _tokens(text, 0, 1)
        self._before: Lexeme | None = None
        self._value: Token | None = None
        self._name = ""
        self._open: list[int] = []
        self._mistakes = 0
        self._broken: set[int] = set()

    def read(self) -> tuple[Item, ...]:
        """Parse all; if the result is empty, at least one problem is reported."""
        try:
            tree = self._drive()
        except _GiveUpError:
            return ()
        return tuple(self._items(tree.children))

    def _drive(self) -> Tree[Token]:
        while True:
            token = next(self._tokens, None) or self._end()
            if token.type == VALUE and _unclosed(token):
                self._end_open_quote(token)
                continue
            tree = self._accept(token)
            if tree is not None:
                return tree

    def _end(self) -> Token:
        if self._before is None:
            if not self._mistakes:
                self._report("empty-file", "there is nothing in this file", "delete it to get the defaults", 0)
            raise _GiveUpError
        return _made(END, "", self._before.end_line)

    def _accept(self, token: Token) -> Tree[Token] | None:
        """Feed ``token``, and before it what has to be inserted; the tree, once the token is the end."""
        while True:
            try:
                return self._feed(token)
            except UnexpectedToken:
                if self._ran_over_lines() or not self._mend(token):
                    return None

    def _feed(self, token: Token) -> Tree[Token] | None:
        tree: Tree[Token] | None = self._parser.feed_token(token)
        self._before = _lexeme(token)
        self._note(token)
        return tree

    def _note(self, token: Token) -> None:
        if token.type == NAME:
            self._name = str(token)
        elif token.type == VALUE:
            self._value = token
        elif token.type == OPEN:
            self._enter(token.line or 0)
        elif token.type == CLOSE:
            self._open.pop()

    def _enter(self, line: int) -> None:
        self._open.append(line)
        if len(self._open) > MAX_DEPTH:
            self._report("too-deep", f"more than {MAX_DEPTH} sections within sections", "", line)
            raise _GiveUpError

    def _mend(self, token: Token) -> bool:
        """Repair at ``token``; whether it is still to be fed."""
        wrong = _lexeme(token)
        found = repair(wrong, Context(self._before, self._name, tuple(self._open)))
        if found.code:
            self._report(found.code, found.message, found.suggestion, found.line or wrong.line)
        for kind, text in found.insert:
            self._feed(_made(kind, text, wrong.line))
        return not found.drop

    def _report(self, code: str, message: str, suggestion: str, line: int) -> None:
        self._problems.error(Where(self._file, line), code, message, suggestion)
        self._mistakes += 1
        if self._mistakes > MAX_MISTAKES:
            raise _GiveUpError

    def _ran_over_lines(self) -> bool:
        """Whether the value just read spans lines, so that its quote was surely meant to end at its first line.

        What followed it was not what may follow a value (C fails there too); reading goes on at that line's end.
        """
        if self._before is None or self._before.kind != VALUE or not self._before.multi_line or self._value is None:
            return False
        self._broken.add(self._value.start_pos or 0)
        self._resume_after_line(self._value)
        self._feed(_made(SEMICOLON, ";", self._value.line or 0))
        return True

    def _end_open_quote(self, token: Token) -> None:
        """Step over a quote that is never closed, as if its item ended with its line."""
        self._resume_after_line(token)
        before = self._before.kind if self._before else ""
        for kind in {NAME: (EQUAL, VALUE, SEMICOLON), EQUAL: (VALUE, SEMICOLON)}.get(before, ()):
            self._feed(_made(kind, "", token.line or 0))

    def _resume_after_line(self, token: Token) -> None:
        line = token.line or 0
        self._report("unclosed-quote", f"the quote opened for `{self._name}` is not closed", 'end it with `";`', line)
        end = self._text.find("\n", token.start_pos or 0)
        self._tokens = _tokens(self._text, end, line) if end >= 0 else iter(())

    def _items(self, children: Iterable[Token | Tree[Token]]) -> Iterator[Item]:
        return (self._item(child) for child in children if isinstance(child, Tree))

    def _item(self, tree: Tree[Token]) -> Item:
        tokens = [child for child in tree.children if isinstance(child, Token)]
        where = Where(self._file, tokens[0].line or 0)
        value = next((token for token in tokens if token.type == VALUE), None)
        broken = value is not None and (str(value) == "" or value.start_pos in self._broken)
        text = None if value is None else str(value).strip('"')
        children = tuple(self._items(tree.children)) if tree.data == "section" else None
        return Item(str(tokens[0]), where, text, children, broken)


def _tokens(text: str, start: int, line: int) -> Iterator[Token]:
    """The tokens of ``text`` from ``start`` on, which is in line ``line``; positions are those of the whole text."""
    for token in _lark().lex(text[start:]):
        yield Token(
            token.type,
            str(token),
            start_pos=start + (token.start_pos or 0),
            line=line - 1 + (token.line or 1),
            end_line=line - 1 + (token.end_line or 1),
        )


def _made(kind: str, text: str, line: int) -> Token:
    """A token that is not in the file."""
    return Token(kind, text, line=line, end_line=line)


def _lexeme(token: Token) -> Lexeme:
    return Lexeme(token.type, str(token), token.line or 0, token.end_line or 0)


def _unclosed(value: Token) -> bool:
    return len(value) < 2 or not value.endswith('"')
