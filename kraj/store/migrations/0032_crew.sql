-- What a crew's console keeps: the part that was used for a repair, beside what was at fault; each entry stands in the history.
ALTER TABLE alert ADD COLUMN spare_part text CHECK (length(spare_part) BETWEEN 1 AND 200);
GRANT UPDATE (spare_part) ON alert TO kraj_api;
