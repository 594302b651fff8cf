/* plot.h - pictures (SVG 1.1) of costs against rates: axes that count in powers of ten, lines, words.
 *
 * A picture stands by itself: no script, no font, no other file.
 * Threads: any.  Layer: cost (private). */
#ifndef CAIRN_COST_PLOT_H
#define CAIRN_COST_PLOT_H

#include "base/bytes.h"

enum {
    PLOT_PICTURE_WIDTH = 960,
    PLOT_MARGIN = 60,
    PLOT_WIDTH = 560,
    PLOT_HEIGHT = 300,
    PLOT_LEGEND_STEP = 18,
};

/* Of a plot: powers of ten. */
struct plot_axes {
    double left, right, bottom, top;
    double y; /* of the plot's upper edge */
};

/* begin, with a title; end. */
void plot_begin(struct cairn_buf *to, double height, const char *title);
void plot_end(struct cairn_buf *to);

/* No value yet, from which axes are widened. */
struct plot_axes plot_axes(double y);
/* So that the value is within; one that is not above 0 has no place. */
void plot_widen(struct plot_axes *axes, double value);      /* upwards and downwards */
void plot_widen_rate(struct plot_axes *axes, double value); /* to the left and the right */
/* Each axis has a power at least. */
void plot_settle(struct plot_axes *axes);

double plot_x(const struct plot_axes *axes, double value);
double plot_y(const struct plot_axes *axes, double value);
/* The grid, its numbers, `title` above it, and what is below: "requests a day". */
void plot_grid(struct cairn_buf *to, const struct plot_axes *axes, const char *title);
void plot_line(struct cairn_buf *to, double x1, double y1, double x2, double y2, const char *style);
/* A line of `style` and its text beside the plot; *y moves to the next. */
void plot_legend(struct cairn_buf *to, double *y, const char *style, const char *text);
/* The anchor is start, middle or end.  Any text. */
void plot_text(struct cairn_buf *to, double x, double y, const char *anchor, const char *color, const char *text);

#endif
