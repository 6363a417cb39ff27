"""The paper's tables of ablations, and our recipe's."""
